"""The words of tasks and episodes that a search finds, and words as a query."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MOST = 4_000  # characters of a message whose words are found
EXCERPT = 160  # characters of a task that lists show
_WORD = re.compile(r"\w+")


def said_in(task: dict[str, Any]) -> tuple[str, str, str]:
    """Of a task's stored form: its words, the tools of its ground truth, and how it begins."""
    parts, tools = [str(task.get("source", ""))], dict[str, None]()
    excerpt = ""
    for turn in task.get("turns", ()):
        user = str(turn.get("user", ""))
        excerpt = excerpt or user[:EXCERPT]
        parts.append(user[:MOST])
        for call in turn.get("ground_truth", ()):
            tools[str(call["name"])] = None
            parts += [str(value)[:MOST] for value in call["arguments"].values()]
    return "\n".join(parts), " ".join(tools), excerpt


def spoken_in(transcript: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Of an episode's messages: its words, and the offered tools that the agent names."""
    parts, offered, named = list[str](), set[str](), set[str]()
    for role, text in transcript:
        if role == "tools":
            offered.update(text.split())
            continue
        parts.append(text[:MOST])
        if role == "assistant":
            named.update(_WORD.findall(text[:MOST]))
    return "\n".join(parts), " ".join(sorted(offered & named))


def query(text: str, tool: str = "") -> str:
    """A full-text query: each word of the text begins a word, and the tool is named; or ""."""
    parts = [f'said : "{word}" *' for word in _WORD.findall(text)]
    parts += [f'tools : "{word}"' for word in _WORD.findall(tool)]
    return " AND ".join(parts)
