"""Calls to try a tool with, from its schema and from the state."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rods.envs.samples import sample
from rods.envs.strings import strings_of
from rods.task import Call, ToolSpec

CALLS = 6  # of each tool
PATHS = re.compile(r"path|file|dir|folder|repo", re.IGNORECASE)
WRITTEN = "rods"  # where the state has no text
FAULTY = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What a schema raises that is no schema; servers are not trusted."""


class Texts:
    """Texts that occur in a state: paths and others.

    Args:
        state: of one server.
        folder: the name of its folder for the agent, or "".
    """

    def __init__(self, state: Any, folder: str) -> None:
        files = state.get("files") if isinstance(state, dict) else None
        names = list(files) if isinstance(files, dict) else []
        others = [text for text in strings_of(state) if text not in names]
        self.paths = [folder, *names] if folder else names
        self.others = others or [WRITTEN]

    def of(self, name: str) -> Sequence[str]:
        """Those that suit a parameter."""
        return self.paths if self.paths and PATHS.search(name) else self.others


def probes(spec: ToolSpec, texts: Texts) -> list[Call]:
    """With the required arguments, each third with all of them, and with varying values."""
    made = []
    for turn in range(CALLS):
        names = tuple(spec.parameters) if turn % 3 == 2 else spec.required
        try:
            values = {n: sample(spec.parameters[n], texts.of(n), turn) for n in names}
        except FAULTY:
            continue
        call = Call.model_construct(name=spec.name, arguments=values)
        if call not in made:
            made.append(call)
    return made
