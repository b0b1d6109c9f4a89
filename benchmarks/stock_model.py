"""A stock model with random weights, in a folder, for checks without a hub.

    python benchmarks/stock_model.py FOLDER --width 768 --layers 12

The architecture is Qwen2's, made from its configuration; the chat template is Qwen2.5's, which TRL
ships; the tokenizer is trained here on the benchmark's own texts. Such a model knows nothing: it
shows that a run works, and nothing about learning. It ends an action with a given probability, so
that its episodes, which make no call, differ in tasks with a turn that needs none.
"""

from __future__ import annotations

import argparse
import json
import math
from importlib.resources import files
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config
from transformers.models.qwen2 import Qwen2ForCausalLM

from rods.envs.bfcl_data import benchmark_tasks, tool_specs

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKS = ("<tool_call>", "</tool_call>")
POSITIONS = 32_768


def make_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of so many ids."""
    texts = [tool.model_dump_json() for tool in tool_specs().values()]
    texts += [json.dumps(task.model_dump(mode="json")) for task in benchmark_tasks().values()]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bytes_of = pre_tokenizers.ByteLevel.alphabet()
    learned = size - len(SPECIAL) - len(MARKS)
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=learned, initial_alphabet=bytes_of, show_progress=False),
    )
    bpe.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL])
    bpe.add_tokens([AddedToken(text) for text in MARKS])
    template = files("trl") / "chat_templates" / "qwen2_5.jinja"
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=template.read_text("utf-8"),
    )


def make_model(
    folder: Path,
    width: int = 32,
    layers: int = 2,
    heads: int = 4,
    size: int = 2_000,
    ending: float = 0.01,
    seed: int = 0,
) -> Path:
    """Write a model and its tokenizer; returns the folder.

    Args:
        size: ids of the tokenizer.
        ending: about the probability of the token that ends an action.
        seed: random seed of the weights.
    """
    tokenizer = make_tokenizer(size)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(config)
    common = torch.full((width,), width**-0.5)  # a part of each state, which the last norm keeps
    with torch.no_grad():
        model.get_input_embeddings().weight += common
        odds = ending * len(tokenizer) / (1 - ending)
        model.get_output_embeddings().weight[tokenizer.eos_token_id] = (
            common * math.log(odds) / width**0.5
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for name, default in (("width", 32), ("layers", 2), ("heads", 4), ("size", 2_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--ending", type=float, default=0.01)
    given = vars(parser.parse_args())
    print(make_model(**given))
