"""Tasks in the benchmark's own layout, for its checker and its runner.

Each category has a question file, and an answer file of the same name under `possible_answer/`. An
id is `multi_turn_<category>_<position>-<task id>-0`: the benchmark takes the category (and from it
whether there is long context) from the part before the last underscore, and sorts by the number
after it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import CATEGORIES, MISS_FUNC, read_category, read_row
from rods.envs.bfcl_twin import accepts_ground_truth
from rods.envs.calls import CallError
from rods.envs.notation import parse_calls
from rods.errors import UserError
from rods.export.files import LineFiles
from rods.export.items import Item, equipped
from rods.task import Task, ToolSpec

CONTENT = ("classes", "start", "withheld", "system", "turns")


def write_bfcl(folder: Path, items: Sequence[Item], env: str) -> list[Item]:
    """Write the questions and answers of every category that has tasks.

    Each task is read back from its rows first, to check that nothing is lost.

    Returns:
        The tasks left out because the official checker would refuse their ground truth.

    Raises:
        UserError: a task is of another environment, or the format cannot express it.
    """
    if env != "bfcl":
        raise UserError(
            f"--env {env}: the format bfcl takes tasks of bfcl only; choose another format"
        )
    environment, left = BfclEnvironment(), []
    with LineFiles(folder) as files:
        for position, (item, tools) in enumerate(equipped(items, env)):
            if item.task.category not in CATEGORIES:
                message = (
                    f"the benchmark has no {item.task.category!r}; only {', '.join(CATEGORIES)}"
                )
                raise UserError(f"{item.where}: category: {message}")
            name = f"BFCL_v4_multi_turn_{item.task.category}.json"
            question, answer = _rows(item, position, tools)
            try:
                if not accepts_ground_truth(item.task, environment):
                    left.append(item)
                    continue
            except UserError as error:  # a simulator cannot load it
                raise UserError(f"{item.where}: start: {error}") from None
            files.add(name, question)
            files.add(f"possible_answer/{name}", answer)
    return left


def read(folder: Path) -> list[Task]:
    """The tasks of an exported folder, by category; their `source` is the exported id.

    Raises:
        UserError: see `read_category`.
    """
    there = [c for c in CATEGORIES if (folder / f"BFCL_v4_multi_turn_{c}.json").exists()]
    return [task for category in there for task in read_category(folder, category)]


def task_id(name: str) -> str:
    """The task's id within an exported id."""
    return name.rsplit("_", 1)[-1].split("-")[1]


def _rows(
    item: Item, position: int, tools: dict[str, ToolSpec]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The task's question and its answer."""
    where, task = item
    name = f"multi_turn_{task.category}_{position}-{task.id}-0"
    for index, turn in enumerate(task.turns):
        if turn.restores and turn.user:
            message = "in the benchmark a turn that restores a tool has no text of the user"
            raise UserError(f"{where}: turns.{index}.user: {message}")
    answer = [_texts(f"{where}: turns.{i}", task, i, tools) for i in range(len(task.turns))]
    question: dict[str, Any] = {
        "id": name,
        "question": [[{"role": "user", "content": t.user}] if t.user else [] for t in task.turns],
        "initial_config": task.start,
        "path": [f"{tools[call.name].owner}.{call.name}" for call in task.calls],
        "involved_classes": list(task.classes),
    }
    if task.category == MISS_FUNC or task.withheld:
        question["missed_function"] = {
            str(i): list(turn.restores) for i, turn in enumerate(task.turns) if turn.restores
        }
    back = read_row(task.category, question, answer)
    if back.id != task.id:
        fields = (f for f in CONTENT if _plain(back, f) != _plain(task, f))
        raise UserError(f"{where}: {next(fields)}: the benchmark's format cannot express it")
    return question, {"id": name, "ground_truth": answer}


def _texts(where: str, task: Task, index: int, tools: dict[str, ToolSpec]) -> list[str]:
    """A turn's ground truth as Python calls."""
    texts = []
    for position, call in enumerate(task.turns[index].ground_truth):
        text = str(call)
        try:
            if [str(read) for read in parse_calls(text, tools)] != [text]:
                raise UserError(
                    f"{where}.ground_truth.{position}: cannot be written as a Python call"
                )
        except CallError as error:
            raise UserError(f"{where}.ground_truth.{position}: {error}") from None
        texts.append(text)
    return texts


def _plain(task: Task, field: str) -> str:
    return json.dumps(task.model_dump(include={field}))
