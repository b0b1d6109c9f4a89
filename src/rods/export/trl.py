"""Tasks as rows for a GRPO run in one process: TRL's trainer with a rollout function.

The rollout function sees prompts alone, so every message of a prompt carries the task's id; chat
templates do not read it. What differs in shape from row to row is JSON text, since a table would
fill it up with empty fields.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rods.export.chat import first_messages, first_tools, restored_tools
from rods.export.lines import LineFiles
from rods.export.source import Item, equipped, side


def write(folder: Path, items: Sequence[Item], env: str) -> list[Item]:
    """Write `train.jsonl`, and `validation.jsonl` and `test.jsonl` for benchmark tasks there.

    Raises:
        UserError: see `equipped`.
    """
    with LineFiles(folder) as files:
        for (_, task), tools in equipped(items, env):
            row = {
                "prompt": [{**message, "task": task.id} for message in first_messages(task)],
                "tools": json.dumps(first_tools(task, tools)),
                "restores": json.dumps(restored_tools(task, tools)),
                "task_id": task.id,
                "category": task.category,
                "environment": task.environment,
                "task": task.model_dump_json(),
            }
            files.add(f"{side(task)}.jsonl", row)
    return []
