"""Tasks as one flat table, a row a task, for looking at them and for keeping them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rods.errors import UserError
from rods.export.arrow import pyarrow, write_parquet
from rods.export.source import Item
from rods.task import Task

JSON_TEXT = ("start", "turns", "lineage")
LAST_EPOCH = 2**63 - 1


def write(folder: Path, items: Sequence[Item], env: str) -> list[Item]:
    """Write `tasks.parquet`. The environment is not asked.

    Raises:
        UserError: an epoch is beyond 64 bits, or pyarrow is not installed.
    """
    for where, task in items:
        if abs(task.born) > LAST_EPOCH:
            raise UserError(f"{where}: born: beyond 64 bits")
    write_parquet(folder / "tasks.parquet", (_row(task) for _, task in items), _schema())
    return []


def task_of(row: dict[str, Any]) -> Task:
    """The task of a row, with all its fields."""
    fields = {name: row[name] for name in Task.model_fields}
    return Task.model_validate(fields | {name: json.loads(row[name]) for name in JSON_TEXT})


def _row(task: Task) -> dict[str, Any]:
    fields = task.model_dump()
    return {
        "id": task.id,
        **fields,
        **{name: json.dumps(fields[name]) for name in JSON_TEXT},
        "category": task.category,
        "turn_count": len(task.turns),
        "call_count": len(task.calls),
        "empty_turns": sum(not turn.ground_truth for turn in task.turns),
    }


def _schema() -> Any:
    pa = pyarrow()
    others = {"classes": pa.list_(pa.string()), "withheld": pa.list_(pa.string())}
    others |= {"record": pa.list_(pa.string()), "born": pa.int64()}
    fields = [(name, others.get(name, pa.string())) for name in ("id", *Task.model_fields)]
    counts = ("turn_count", "call_count", "empty_turns")
    return pa.schema([*fields, *((name, pa.int64()) for name in counts)])
