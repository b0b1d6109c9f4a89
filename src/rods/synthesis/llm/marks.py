"""Marks by which models and servers tell thinking from the answer."""

from __future__ import annotations

import re
from functools import lru_cache

NAMES = (
    *("think", "thinking", "thought", "thoughts", "reasoning", "analysis"),
    *("reflection", "scratchpad", "monologue", "draft", "rationale", "cot", "deepthink"),
)
"""Of blocks that hold thinking, with any prefix such as `seed:` and any end such as `_process`."""

LEFT, RIGHT = r"(?:<[|\uff5c]?|&lt;|\[|◁)\s?", r"(?:[|\uff5c]?>|&gt;|\]|▷)"
MORE = r"(?:_(?!end)\w{1,20})?"
BARE = r"(?-i:\Aanalysis(?=[A-Z{]))"  # a channel whose marks were lost
FINAL = r"<\|channel\|?>\s*final\b|(?-i:assistantfinal)"
CHANNEL = rf"<\|channel\|?>\s*\w*|{BARE}"
ENDED = r"<\|(?:end|return|call|start)\|>|<channel\|>"
TOKEN = re.compile(r"<\|(?:start|constrain)\|>\s*\w+|<\|?[^<>|\s]{1,40}\|>")
"""Special tokens that may stay around the words."""

ENDS = {"opening": ("closing", "final"), "channel": ("ended", "channel", "final")}
"""Marks that end the thinking that a mark begins."""


@lru_cache(256)
def pattern(tags: frozenset[str]) -> re.Pattern[str]:
    """Finds the next mark, tag or beginning of an object; `lastgroup` tells what it is.

    Args:
        tags: of the answer's form, which are no marks.
    """
    names = "|".join(name for name in NAMES if name not in tags)
    named = rf"(?:\w{{1,20}}[:_])?(?:{names})"
    begins, ends = (rf"(?:{word}[_▁](?:of[_▁])?)" for word in ("(?:begin|start)", "end"))
    groups = {
        "final": FINAL,
        "channel": CHANNEL,
        "ended": ENDED,
        "closing": rf"{LEFT}(?:(?:/\s?|{ends}){named}{MORE}|{named}_end|inner_suffix)\s*{RIGHT}",
        "opening": rf"{LEFT}(?:{begins}?{named}{MORE}|inner_prefix)(?:\s[^<>]{{0,80}})?{RIGHT}",
        "tag": rf"(?-i:<(?:{'|'.join(map(re.escape, sorted(tags))) or '(?!)'})>)",
        "brace": r"\{(?=\s*[\"'}])",
    }
    whole = "|".join(f"(?P<{name}>{text})" for name, text in groups.items())
    return re.compile(whole, re.IGNORECASE)
