"""Scores logged episodes on the benchmark's tasks (`rods score`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks
from rods.envs.calls import CallError
from rods.envs.notation import parse_calls
from rods.errors import UserError
from rods.files import read_text
from rods.reward import progress, score
from rods.task import Call, ToolSpec


def score_file(path: Path) -> Iterator[dict[str, Any]]:
    """One result a line of the file.

    A call that cannot be read counts as a call that failed; it is an ending with a name, never an
    exception. A line that is no episode is an error.

    Raises:
        UserError: the file or a line cannot be used; the message names the line and the field.
    """
    env, tasks = BfclEnvironment(), benchmark_tasks()
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"{where}: not JSON") from None
        if not isinstance(row, dict) or not isinstance(name := row.get("task"), str):
            raise UserError(f"{where}: task: no name of a benchmark task")
        if name not in tasks:
            raise UserError(f"{where}: task: no benchmark task of that name")
        turns = row.get("turns")
        if not isinstance(turns, list) or not all(
            isinstance(t, list) and all(isinstance(c, str) for c in t) for t in turns
        ):
            raise UserError(f"{where}: turns: a list of turns, each a list of call strings")
        task = tasks[name]
        tools = env.tools(task)
        bad: list[str] = []
        calls = [[call for text in turn for call in _calls(text, tools, bad)] for turn in turns]
        verdicts = score(task, env, calls)
        reward = progress(verdicts, len(task.turns))
        yield {
            "task": name,
            "progress": reward,
            "complete": reward == 1.0,
            "turns": [{"state": v.state, "exec": v.exec, "empty": v.empty} for v in verdicts],
            "ending": "format failures" if bad else "answered",
        }


def _calls(text: str, tools: dict[str, ToolSpec], bad: list[str]) -> tuple[Call, ...]:
    try:
        return parse_calls(text, tools)
    except CallError as error:
        bad.append(str(error))
        return (Call.model_construct(name="", arguments={}),)
