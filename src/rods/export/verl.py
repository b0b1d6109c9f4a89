"""Tasks as verl's rows. An agent loop runs in a process of its own: each row holds its whole task.

What differs in shape from row to row is JSON text; verl hands it on as it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rods.export.arrow import pyarrow, write_parquet
from rods.export.chat import first_messages, first_tools, restored_tools
from rods.export.source import Item, equipped, side

AGENT = "rods"
"""Name of the agent loop, and of the interaction, that the rows ask for."""


def write(folder: Path, items: Sequence[Item], env: str) -> list[Item]:
    """Write `train.parquet`, and `validation.parquet` and `test.parquet` for benchmark tasks there.

    Raises:
        UserError: see `equipped`; or pyarrow is not installed.
    """
    schema, sides = _schema(), defaultdict(list)
    for item in items:
        sides[side(item.task)].append(item)
    for name, found in sides.items():
        write_parquet(folder / f"{name}.parquet", _rows(found, env, name), schema)
    return []


def _rows(items: Sequence[Item], env: str, name: str) -> Iterator[dict[str, Any]]:
    for index, ((_, task), tools) in enumerate(equipped(items, env)):
        gold = [[str(call) for call in turn.ground_truth] for turn in task.turns]
        users = [turn.user for turn in task.turns]
        restores = json.dumps(restored_tools(task, tools))
        yield {
            "data_source": f"rods/{task.category}",
            "agent_name": AGENT,
            "prompt": first_messages(task),
            "ability": "tool use",
            "reward_model": {"style": "rule", "ground_truth": json.dumps(gold)},
            "extra_info": {
                "index": index,
                "split": name,
                "task_id": task.id,
                "environment": task.environment,
                "task": task.model_dump_json(),
                "need_tools_kwargs": True,
                "tools_kwargs": {"tools": json.dumps(first_tools(task, tools))},
                "interaction_kwargs": {"name": AGENT, "turns": users, "restores": restores},
            },
        }


def _schema() -> Any:
    pa = pyarrow()
    text = pa.string()
    interaction = [("name", text), ("turns", pa.list_(text)), ("restores", text)]
    extra = [
        ("index", pa.int64()),
        ("split", text),
        ("task_id", text),
        ("environment", text),
        ("task", text),
        ("need_tools_kwargs", pa.bool_()),
        ("tools_kwargs", pa.struct([("tools", text)])),
        ("interaction_kwargs", pa.struct(interaction)),
    ]
    return pa.schema(
        [
            ("data_source", text),
            ("agent_name", text),
            ("prompt", pa.list_(pa.struct([("role", text), ("content", text)]))),
            ("ability", text),
            ("reward_model", pa.struct([("style", text), ("ground_truth", text)])),
            ("extra_info", pa.struct(extra)),
        ]
    )
