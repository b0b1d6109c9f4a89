"""Rows of verifiers and of NeMo Gym that carry the right calls, as tasks.

A row has a prompt of a system message and one of a user, and the calls under one of the names in
`GOLD`. Rows without calls have their answer checked by a program or a judge: they are refused. The
tools are those of an environment of ours, which must have a tool of each name that the calls use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rods.envs.base import Environment
from rods.envs.task_entry import FileHeader, TaskEntry, task_of
from rods.errors import UserError, shown
from rods.files.plain_data import Author, ReadError
from rods.files.reading import entries, parse_json
from rods.importers.imported import Imported
from rods.reward import trusted_trace

GOLD = ("ground_truth", "expected_answers", "expected_call", "expected_action", "calls", "answer")
"""Names under which rows hold calls, at the top or in one of `INNER`."""
INNER = ("verifier_metadata", "info", "metadata", "task", "data")
NO_CALLS = "carries no calls"
MOST_SHOWN = 160  # characters of a reason
MOST_BYTES = 200_000_000


class RefusedError(Exception):
    """A row that cannot be a task of ours."""


def import_rows(path: Path, env: Environment) -> Imported:
    """The rows of a JSON-lines file, each with its calls executed.

    Raises:
        UserError: the file cannot be read.
    """
    made, known = Imported([]), dict[str, str]()
    for number, (_, row) in enumerate(entries(path, Author.MODEL, MOST_BYTES), 1):
        name = f"row {number}"
        try:
            entry = entry_of(row, f"{path.stem}_{number}")
            task = task_of(TaskEntry.model_validate(entry), FileHeader(), name, env)
            trusted_trace(task, env)
            if (same := known.setdefault(task.id, name)) != name:
                raise RefusedError(f"is the same task as {same}")
            made.entries.append(entry)
        except (RefusedError, UserError, ReadError, ValueError) as error:
            made.left_out[name] = shown(str(error).removeprefix(f"{name}: "), MOST_SHOWN)
    return made


def entry_of(row: Any, name: str) -> dict[str, Any]:
    """A row as an entry of a task file.

    Raises:
        RefusedError: it carries no calls, or its prompt is more than one request.
    """
    if not isinstance(row, dict):
        raise RefusedError("is no object")
    calls = next(_gold(row), None)
    if calls is None:
        raise RefusedError(NO_CALLS)
    system, user = _prompt(row)
    start = row.get("start")
    return {
        "id": name,
        **({"system": system} if system else {}),
        **({"start": start} if isinstance(start, dict) else {}),
        "turns": [{"user": user, "calls": calls}],
    }


def _gold(row: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    inner = (_decoded(row.get(name)) for name in INNER)
    for holder in (row, *(each for each in inner if isinstance(each, dict))):
        for name in GOLD:
            if calls := _calls(_decoded(holder.get(name))):
                yield calls


def _calls(value: Any) -> list[dict[str, Any]]:
    """The calls that a value holds; none if it is anything else."""
    found = [_call(each) for each in (value if isinstance(value, list) else [value])]
    return [call for call in found if call] if all(found) else []


def _call(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    arguments = _decoded(value.get("arguments", {})) if isinstance(value, dict) else None
    if not isinstance(arguments, dict) or not isinstance(value.get("name"), str):
        return {}
    return {"name": value["name"], "arguments": arguments}


def _prompt(row: dict[str, Any]) -> tuple[str, str]:
    """The system message, and what the user says."""
    asked = row.get("responses_create_params")
    said = asked.get("input") if isinstance(asked, dict) else row.get("prompt", row.get("question"))
    if isinstance(said, str):
        return str(row.get("system_prompt") or ""), said
    if not isinstance(said, list) or not all(isinstance(m, dict) for m in said):
        raise RefusedError("has no prompt")
    roles = [message.get("role") for message in said]
    systems = [_text(m) for m in said if m.get("role") in ("system", "developer")]
    users = [_text(m) for m in said if m.get("role") == "user"]
    if len(users) != 1 or len(systems) + 1 != len(roles):
        raise RefusedError("its prompt is no single request: it has earlier answers")
    return "\n\n".join(systems) or str(row.get("system_prompt") or ""), users[0]


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    return str(content or "")


def _decoded(value: Any) -> Any:
    """A value that may be written as JSON text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return parse_json(value, Author.MODEL)
        except ReadError:
            return None
    return value
