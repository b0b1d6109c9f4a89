"""The 800 multi-turn tasks of BFCL, their tools, and the fixed split.

The split is by base index (0-199), because the four variants of an index have the same content.
Within each set of tool classes, indices are ordered by a hash and alternate between the training
and the test side, so that each side has 100 of each category and the same mix of classes. One
training index in five is kept for validation. This package contains no data of the benchmark; it
reads the installed bfcl-eval.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from rods.envs.notation import parse_calls
from rods.errors import UserError
from rods.extras import missing
from rods.task import BASE, Task, ToolSpec, Turn

# Class -> stem of its module and of its document.
SIMULATORS = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}
MISS_FUNC, MISS_PARAM, LONG_CONTEXT = "miss_func", "miss_param", "long_context"
CATEGORIES = (BASE, MISS_FUNC, MISS_PARAM, LONG_CONTEXT)
JSON_TYPES = {"dict": "object", "float": "number", "tuple": "array", "list": "array"}
INDICES = 200


def data_folder() -> Path:
    """The data folder of the installed benchmark.

    Raises:
        UserError: bfcl-eval is not installed.
    """
    spec = importlib.util.find_spec("bfcl_eval")
    if spec is None or spec.origin is None:
        raise UserError(missing("bfcl_eval"))
    return Path(spec.origin).parent / "data"


@cache
def tool_specs() -> dict[str, ToolSpec]:
    """All 128 tools by name."""
    specs = {}
    for owner, stem in SIMULATORS.items():
        for doc in _lines(data_folder() / "multi_turn_func_doc" / f"{stem}.json"):
            parameters = doc["parameters"]["properties"]
            if (
                doc["name"] == "purchase_insurance"
            ):  # its document has another order than its signature
                order = [
                    "access_token",
                    "insurance_type",
                    "booking_id",
                    "insurance_cost",
                    "card_id",
                ]
                parameters = {name: parameters[name] for name in order}
            specs[doc["name"]] = ToolSpec(
                name=doc["name"],
                owner=owner,
                description=doc["description"].split("Tool description: ")[-1],
                parameters={k: _schema(v) for k, v in parameters.items()},
                required=tuple(doc["parameters"]["required"]),
                returns=_fields(doc.get("response") or {}),
            )
    return specs


def documented_order() -> dict[str, list[str]]:
    """Parameters of each tool in the order of its document."""
    folder = data_folder() / "multi_turn_func_doc"
    return {
        doc["name"]: list(doc["parameters"]["properties"])
        for stem in SIMULATORS.values()
        for doc in _lines(folder / f"{stem}.json")
    }


@cache
def benchmark_tasks() -> dict[str, Task]:
    """The 800 tasks by their official id, in the files' order.

    Raises:
        UserError: a data file is missing or damaged; the message names file and line.
    """
    folder = data_folder()
    return {task.source: task for c in CATEGORIES for task in read_category(folder, c)}


@cache
def split() -> dict[str, str]:
    """Official id -> "train", "validation" or "test" (320 / 80 / 400)."""
    strata: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index in range(INDICES):
        task = benchmark_tasks()[f"multi_turn_base_{index}"]
        strata[tuple(sorted(task.classes))].append(index)
    order: list[int] = []
    for classes in sorted(strata):
        order += sorted(strata[classes], key=_rank)
    side: dict[int, str] = dict.fromkeys(order[1::2], "test")
    training = order[0::2]
    for position, index in enumerate(training):
        side[index] = "validation" if position % 5 == 2 else "train"
    return {i: side[int(i.rsplit("_", 1)[1])] for i in benchmark_tasks()}


def _rank(index: int) -> str:
    return hashlib.sha256(f"rods split {index}".encode()).hexdigest()


def read_category(folder: Path, category: str) -> list[Task]:
    """Tasks of one category in a folder with the layout of the benchmark's data.

    Raises:
        UserError: a file is missing or damaged, or a task cannot be read; the message names it.
    """
    name = f"BFCL_v4_multi_turn_{category}.json"
    answers = {a["id"]: a["ground_truth"] for a in _lines(folder / "possible_answer" / name)}
    tasks = []
    for row in _lines(folder / name):
        try:
            tasks.append(read_row(category, row, answers[row["id"]]))
        except (LookupError, TypeError, ValueError) as error:
            raise UserError(f"{folder / name}: task {row['id']} cannot be read: {error}") from None
    return tasks


def read_row(category: str, row: dict[str, Any], answer: list[list[str]]) -> Task:
    """The task of a question and its ground truth.

    Raises:
        CallError: the ground truth has a text that is no call of a tool of its classes.
        LookupError: a field or a turn is missing.
    """
    classes = tuple(row["involved_classes"])
    tools = {n: t for n, t in tool_specs().items() if t.owner in classes}
    withheld: dict[str, list[str]] = row.get("missed_function", {})
    return Task(
        category=category,
        classes=classes,
        # Only what a simulator loads: no simulator reads MathAPI's entry.
        start={k: v for k, v in row["initial_config"].items() if k in classes},
        turns=tuple(
            Turn(
                user="\n".join(m["content"] for m in messages),
                ground_truth=tuple(parse_calls(call, tools)[0] for call in answer[i]),
                restores=tuple(withheld.get(str(i), ())),
            )
            for i, messages in enumerate(row["question"])
        ),
        withheld=tuple(name for names in withheld.values() for name in names),
        source=row["id"],
    )


def _schema(doc: dict[str, Any]) -> dict[str, Any]:
    """BFCL's parameter description as JSON schema."""
    schema = {k: v for k, v in doc.items() if k in ("type", "description", "default", "enum")}
    schema["type"] = JSON_TYPES.get(doc["type"], doc["type"])
    if "items" in doc:
        schema["items"] = _schema(doc["items"])
    return schema


def _fields(doc: dict[str, Any]) -> dict[str, str]:
    """Fields of a response document; a field of an inner object or of list items never replaces an
    outer one of the same name."""
    inner = doc.get("properties") or {}
    found = {name: str(field.get("description", "")) for name, field in inner.items()}
    for field in (*inner.values(), *([doc["items"]] if "items" in doc else [])):
        found = _fields(field) | found
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; reinstall bfcl-eval") from None
    rows = []
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise UserError(f"{path}: line {number} is not JSON: {error.msg}") from None
    return rows
