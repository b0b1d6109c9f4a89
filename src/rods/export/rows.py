"""Tasks as rows: for GRPO with TRL, verl and NeMo Gym, and as one flat table.

A prompt begins with the task's system message, or with one of ours if it has none.

Fields whose shape differs between rows are JSON text: a table would add the fields of every other
row, empty. verl passes the text on unchanged.

TRL's trainer runs in one process. Its rollout function sees only prompts, so each message of a
prompt has the task's id; chat templates do not read it. verl's agent loop runs in another process,
so each row holds its whole task; so do those of NeMo Gym.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rods.errors import UserError
from rods.export.files import LineFiles, pyarrow, write_parquet
from rods.export.items import Item, equipped, side
from rods.task import Task, ToolSpec

AGENT = "rods"
"""Name of the agent loop and of the interaction that verl's rows name."""
JSON_TEXT = ("start", "turns", "lineage")
LAST_EPOCH = 2**63 - 1
SYSTEM = (
    "You serve a user in a conversation of several turns, with tools. In each turn call the tools"
    " that the request needs, one after the other or together, until it is done; then answer in a"
    " sentence without a call. If no tool that you have fits, or a value is missing that neither"
    " the user nor a tool has given, call nothing and say what is missing."
)


def write_trl(folder: Path, items: Sequence[Item], env: str) -> list[Item]:
    """Write `train.jsonl`, and `validation.jsonl` and `test.jsonl` for benchmark tasks there.

    Raises:
        UserError: see `equipped`.
    """
    with LineFiles(folder) as files:
        for (_, task), tools in equipped(items, env):
            row = {
                "prompt": [{**message, "task": task.id} for message in first_messages(task)],
                "tools": json.dumps(_first_tools(task, tools)),
                "restores": json.dumps(_restored_tools(task, tools)),
                "task_id": task.id,
                "category": task.category,
                "environment": task.environment,
                "task": task.model_dump_json(),
            }
            files.add(f"{side(task)}.jsonl", row)
    return []


def write_verl(folder: Path, items: Sequence[Item], env: str) -> list[Item]:
    """Write `train.parquet`, and `validation.parquet` and `test.parquet` for benchmark tasks there.

    Raises:
        UserError: see `equipped`; or pyarrow is not installed.
    """
    schema, sides = _verl_schema(), defaultdict(list)
    for item in items:
        sides[side(item.task)].append(item)
    for name, found in sides.items():
        write_parquet(folder / f"{name}.parquet", _verl_rows(found, env, name), schema)
    return []


def write_table(folder: Path, items: Sequence[Item], env: str) -> list[Item]:
    """Write `tasks.parquet`. The environment is not loaded.

    Raises:
        UserError: an epoch is beyond 64 bits, or pyarrow is not installed.
    """
    for where, task in items:
        if abs(task.born) > LAST_EPOCH:
            raise UserError(f"{where}: born: beyond 64 bits")
    rows = (_table_row(task) for _, task in items)
    write_parquet(folder / "tasks.parquet", rows, _table_schema())
    return []


def write_nemo_gym(folder: Path, items: Sequence[Item], env: str) -> list[Item]:
    """Write `train.jsonl`, and `validation.jsonl` and `test.jsonl` for benchmark tasks there.

    Returns:
        The tasks left out because they withhold tools, which a row cannot restore.

    Raises:
        UserError: see `equipped`.
    """
    with LineFiles(folder) as files:
        for (_, task), tools in equipped(items, env):
            if task.withheld:
                continue
            shown = [{"type": "function", **_function(t)["function"]} for t in tools.values()]
            row = {
                "responses_create_params": {
                    "input": first_messages(task),
                    "tools": [{**tool, "strict": False} for tool in shown],
                },
                "task_id": task.id,
                "task": task.model_dump_json(),
                "agent_ref": {"type": "responses_api_agents", "name": f"{AGENT}_agent"},
            }
            files.add(f"{side(task)}.jsonl", row)
    return [item for item in items if item.task.withheld]


def task_of(row: dict[str, Any]) -> Task:
    """The task of a row, with all its fields."""
    fields = {name: row[name] for name in Task.model_fields}
    return Task.model_validate(fields | {name: json.loads(row[name]) for name in JSON_TEXT})


def _verl_rows(items: Sequence[Item], env: str, name: str) -> Iterator[dict[str, Any]]:
    for index, ((_, task), tools) in enumerate(equipped(items, env)):
        gold = [[str(call) for call in turn.ground_truth] for turn in task.turns]
        users = [turn.user for turn in task.turns]
        restores = json.dumps(_restored_tools(task, tools))
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
                "tools_kwargs": {"tools": json.dumps(_first_tools(task, tools))},
                "interaction_kwargs": {"name": AGENT, "turns": users, "restores": restores},
            },
        }


def _verl_schema() -> Any:
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


def _table_row(task: Task) -> dict[str, Any]:
    fields = task.model_dump()
    return {
        "id": task.id,
        **fields,
        **{name: json.dumps(fields[name]) for name in JSON_TEXT},
        "turn_count": len(task.turns),
        "call_count": len(task.calls),
        "empty_turns": sum(not turn.ground_truth for turn in task.turns),
    }


def _table_schema() -> Any:
    pa = pyarrow()
    others = {"classes": pa.list_(pa.string()), "withheld": pa.list_(pa.string())}
    others |= {"record": pa.list_(pa.string()), "born": pa.int64()}
    fields = [(name, others.get(name, pa.string())) for name in ("id", *Task.model_fields)]
    counts = ("turn_count", "call_count", "empty_turns")
    return pa.schema([*fields, *((name, pa.int64()) for name in counts)])


def first_messages(task: Task) -> list[dict[str, str]]:
    """What the agent reads before its first action."""
    said = task.turns[0].user
    messages = [{"role": "system", "content": task.system or SYSTEM}]
    return [*messages, {"role": "user", "content": said}] if said else messages


def _first_tools(task: Task, tools: Mapping[str, ToolSpec]) -> list[dict[str, Any]]:
    """The tools on offer in the first turn, which may restore withheld ones."""
    kept = set(task.withheld) - set(task.turns[0].restores)
    return [_function(tool) for name, tool in tools.items() if name not in kept]


def _restored_tools(task: Task, tools: Mapping[str, ToolSpec]) -> list[list[dict[str, Any]]]:
    """For each turn the tools that it adds to those on offer."""
    return [[_function(tools[name]) for name in turn.restores] for turn in task.turns]


def _function(tool: ToolSpec) -> dict[str, Any]:
    """A tool as OpenAI's API takes it."""
    parameters = {
        "type": "object",
        "properties": tool.parameters,
        "required": list(tool.required),
    }
    inner = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": inner}
