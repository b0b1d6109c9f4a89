"""Start states for tasks without a human task: those of a file, or the state of new objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rods.envs.base import Environment
from rods.errors import UserError
from rods.files.core_yaml import parse as parse_yaml_text
from rods.files.plain_data import Placed, ReadError, plain
from rods.files.reading import parse_json, read_text
from rods.synthesis.cold.trial import opened
from rods.task import BASE, Task

MOST = 20  # start states of a file


def start_tasks(path: Path | None, env: Environment, classes: tuple[str, ...]) -> list[Task]:
    """A task without turns for each start state.

    Args:
        path: a file with one start state, {class: {attribute: value}}, or a list of them; without
            one the state that new objects have.

    Raises:
        UserError: the file cannot be read, or a start state does not load; the message names file,
            state, class and field.
    """
    found: list[tuple[str, dict[str, Any]]] = [("the state of a new object", {})]
    if path is not None:
        found = _read(path, classes)
    tasks = [
        Task(
            category=BASE,
            classes=classes,
            start=start,
            turns=(),
            environment=env.name,
            origin="user",
            source=place,
        )
        for place, start in found
    ]
    for task in tasks:
        try:
            opened(task, env).close()
        except UserError as error:
            where = "" if task.label in str(error) else f"{task.label}: "
            raise UserError(f"{where}{str(error).removeprefix('task ')}") from None
    return list({task.id: task for task in tasks}.values())


def _read(path: Path, classes: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    text = read_text(path)
    try:
        yaml = path.suffix.lower() in (".yaml", ".yml")
        data = plain(parse_yaml_text(text)) if yaml else parse_json(text)
    except ReadError as error:
        line = f"line {error.line}: " if error.line else ""
        raise UserError(f"{path}: {line}{error.message}") from None
    listed = data.item if isinstance(data, Placed) else data
    states = listed if isinstance(listed, list) else [listed]
    if not states or len(states) > MOST:
        raise UserError(f"{path}: must be one start state, or a list of 1 to {MOST}")
    found = []
    for number, state in enumerate(states, 1):
        where = f"{path}: start {number}" if isinstance(listed, list) else str(path)
        if not isinstance(state, dict) or not state:
            raise UserError(f"{where}: must be {{class: {{attribute: value}}}}")
        for name, fields in state.items():
            if name not in classes:
                raise UserError(f"{where}: no class {name!r}; there are {', '.join(classes)}")
            if not isinstance(fields, dict):
                raise UserError(f"{where}: {name}: must be {{attribute: value}}")
        found.append((where, state))
    return found
