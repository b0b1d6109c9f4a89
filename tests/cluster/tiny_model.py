"""A chat model of random weights whose tokenizer has learned the benchmark's texts."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.renderers.template import known_templates
from rods.renderers.tools import function_schema

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCABULARY, POSITIONS = 3000, 16_384
PROMPTS = 20  # in which a tool is documented, for each turn of a user that is learned


def save_model(folder: Path) -> None:
    """Write the model and its tokenizer as `transformers` reads them. The same each time.

    Tokens are not limited to words, and the documents of tools are learned best. So a prompt has
    650 tokens and not 3,000, and a training step takes a fraction of the time.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [json.dumps(function_schema(tool, "short")) for tool in tool_specs().values()] * PROMPTS
    texts += [turn.user for task in benchmark_tasks().values() for turn in task.turns]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in SPECIAL])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=known_templates()["qwen2_5"],
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer.get_vocab()), hidden_size=16, intermediate_size=32,
        num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, head_dim=16,
        max_position_embeddings=POSITIONS, eos_token_id=tokenizer.token_to_id("<|im_end|>"),
        pad_token_id=tokenizer.token_to_id("<|endoftext|>"), tie_word_embeddings=False,
    )  # fmt: skip
    Qwen3ForCausalLM(config).save_pretrained(folder)
