"""Loads a causal language model of `transformers` with its tokenizer and its renderer.

No code that comes with a model is run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from rods.config import Config
from rods.errors import UserError, shown
from rods.extras import require
from rods.policies.gguf import folder_of
from rods.policies.model import ALL_LINEAR, LoraSettings, ModelSettings, settings_of
from rods.policies.registry import LoadedPolicy
from rods.policies.transformers import TransformersPolicy
from rods.policies.weights import weights_digest
from rods.renderers.chat import ChatRenderer
from rods.renderers.load import load_renderer
from rods.trainers.trl_policy import TrlPolicy, check_vllm, generation_arguments

REASON = 200  # characters of a library's message


class LoadedModel(NamedTuple):
    """A model with what writes for it.

    Attributes:
        dtype: of the arithmetic.
    """

    model: Any
    tokenizer: Any
    renderer: ChatRenderer
    dtype: torch.dtype


def load_model(
    settings: ModelSettings, label: str = "policy", *, training: bool = False
) -> LoadedModel:
    """The model without adapters, on the CPU or, unless it is trained, on the first GPU.

    Args:
        label: of the settings, for messages.
        training: weights that are trained are in float32, whatever the arithmetic is in.

    Raises:
        UserError: there is no such model, or it has no usable tokenizer or template.
    """
    tokenizer, renderer = load_writer(settings, label)
    dtype = compute_dtype(settings.dtype)
    weights = torch.float32 if training and settings.lora is None else dtype
    model = _pretrained(settings, settings.model, weights, label)
    if not training and torch.cuda.is_available():
        model = model.to("cuda")
    return LoadedModel(model, tokenizer, renderer, dtype)


def load_writer(settings: ModelSettings, label: str = "policy") -> tuple[Any, ChatRenderer]:
    """The tokenizer and the renderer; no weights are read.

    Raises:
        UserError: there is no such model, or its tokenizer or template is unusable.
    """
    with loading(settings, label):
        place = folder_of(settings.model)
        tokenizer: Any = AutoTokenizer.from_pretrained(place, revision=settings.revision)
    return writer_of(tokenizer, settings, label)


def writer_of(tokenizer: Any, settings: ModelSettings, label: str) -> tuple[Any, ChatRenderer]:
    """The tokenizer, which pads, and its renderer.

    Raises:
        UserError: its template is unusable.
    """
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding is masked by length
    return tokenizer, load_renderer(tokenizer, settings.renderer, f"{label}.model")


def compute_dtype(name: str) -> torch.dtype:
    """The data type of the arithmetic.

    Args:
        name: see `ModelSettings.dtype`.
    """
    if name == "auto":
        able = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if able else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def add_adapters(model: Any, lora: LoraSettings, label: str = "policy") -> Any:
    """The model with new adapters, which have no effect yet.

    Raises:
        UserError: the model has no such layers.
    """
    require("peft")
    from peft import LoraConfig, get_peft_model

    targets = lora.targets
    if targets != (ALL_LINEAR,):
        head = model.get_output_embeddings()
        layers = {n for n, m in model.named_modules() if isinstance(m, nn.Linear) and m is not head}
        absent = [t for t in targets if not any(f".{n}".endswith(f".{t}") for n in layers)]
        if absent:
            there = ", ".join(sorted({name.rsplit(".")[-1] for name in layers}))
            message = f"the model has no linear layers {', '.join(absent)}; there are: {there}"
            raise UserError(f"{label}.lora.targets: {message}")
    arguments = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=ALL_LINEAR if targets == (ALL_LINEAR,) else list(targets),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, arguments)


def load_policy(
    config: Config, tokenizer: Any, renderer: ChatRenderer, checkpoint: Path | None
) -> LoadedPolicy:
    """The model that a run trains, with the weights of a checkpoint or its own.

    Raises:
        UserError: the model cannot be loaded, has no such layers, or has too few positions.
    """
    settings, label = settings_of(config), "policy"
    check_vllm(settings)
    dtype = compute_dtype(settings.dtype)
    whole = settings.lora is None
    source = str(checkpoint) if checkpoint and whole else settings.model
    model = _pretrained(settings, source, torch.float32 if whole else dtype, label)
    check_positions(model.config, config)
    # TRL loads the reference of the KL term by this name; a checkpoint would be another one.
    model.config._name_or_path = folder_of(settings.model)
    identity = identity_of(renderer, tokenizer, "" if whole else weights_digest(model))
    if settings.lora is not None:
        torch.manual_seed(config.seed)
        model = add_adapters(model, settings.lora, label)
        if checkpoint:
            _load_adapters(model, checkpoint)
    cast = dtype if dtype is not torch.float32 else None
    by_trl = TrlPolicy(tokenizer.pad_token_id, cast)
    own = TransformersPolicy(model, tokenizer.pad_token_id, settings.rows, cast)
    return LoadedPolicy(
        renderer,
        model,
        tokenizer,
        own.seeded if settings.generation == "transformers" else by_trl.seeded,
        arguments={
            **generation_arguments(config, settings, renderer.stop_ids),
            "ddp_find_unused_parameters": False,
            "bf16": dtype is torch.bfloat16,
            "gradient_checkpointing": settings.gradient_checkpointing,
            # Of the reference of the KL term.
            **({"model_init_kwargs": {"revision": r}} if (r := settings.revision) else {}),
        },
        attach=by_trl.attach,
        identity=identity,
    )


def identity_of(renderer: ChatRenderer, tokenizer: Any, weights: str) -> str:
    """Identifies what writes for the model, and its frozen weights."""
    known = [renderer.facts, tokenizer.backend_tokenizer.to_str(), weights]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _load_adapters(model: Any, checkpoint: Path) -> None:
    from peft import load_peft_weights, set_peft_model_state_dict

    set_peft_model_state_dict(model, load_peft_weights(str(checkpoint), device="cpu"))


def _pretrained(settings: ModelSettings, source: str, dtype: torch.dtype, label: str) -> Any:
    with loading(settings, label):
        revision = settings.revision if source == settings.model else None
        place = folder_of(source)
        return AutoModelForCausalLM.from_pretrained(place, revision=revision, dtype=dtype)


def check_positions(model: Any, config: Config) -> None:
    """Refuse a token budget above the positions of a model.

    Args:
        model: its configuration.

    Raises:
        UserError: the budget is above them.
    """
    most = getattr(model.get_text_config(), "max_position_embeddings", None)
    if most and config.rollout.token_budget > most:
        budget = f"rollout.token_budget: {config.rollout.token_budget}"
        raise UserError(f"{budget} is more than the {most} positions of the model; lower it")


@contextmanager
def loading(settings: ModelSettings, label: str) -> Iterator[None]:
    """Report what the libraries raise while they read a model.

    Raises:
        UserError: instead.
    """
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        why = shown(str(error), REASON)
        raise UserError(f"{label}.model: {settings.model}: cannot be loaded: {why}") from None
