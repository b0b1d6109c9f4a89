"""Patches: small changes of a start state that a model proposes after a failure.

Open in the paper: what a patch may change; patches are merged deeply and accumulate. Here a patch
may change an existing value to another one of its type, or add an entry to a mapping. It may not
change a type, add a field, or break a file tree.

Refused patches are returned with the reason.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from rods.synthesis.llm.forms import Patch

MAX_PATH = 8
MAX_STATE = 64_000  # characters of JSON
DOT = re.compile(r"(?<!\\)\.")
TREES = {"GorillaFileSystem": "root"}  # fields that hold a file tree


def merge(
    start: Mapping[str, Any], patches: Iterable[Patch], known: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The start state with the patches, and the reasons of those refused.

    Args:
        known: the loaded state by class, which has the default of fields that the start omits.
    """
    merged, refused = copy.deepcopy(dict(start)), []
    for patch in patches:
        trial = copy.deepcopy(merged)
        fault = _put(trial, patch, known) or _too_large(trial)
        if not fault and patch.owner in TREES:
            fault = tree_fault(trial[patch.owner].get(TREES[patch.owner]))
        if fault:
            refused.append(f"{patch.owner[:40]}.{patch.field[:80]}: {fault}")
        else:
            merged = trial
    return merged, refused


def _put(state: dict[str, Any], patch: Patch, known: Mapping[str, Any]) -> str:
    if patch.owner not in state and patch.owner not in known:
        return "no such class"
    path = [key.replace("\\.", ".") for key in DOT.split(patch.field)]
    if len(path) > MAX_PATH or not all(path):
        return "no such path"
    fields, default = state.get(patch.owner), known.get(patch.owner)
    if not isinstance(fields, dict):
        fields = state[patch.owner] = {}
    if path[0] not in fields:
        if not isinstance(default, dict) or path[0] not in default:
            return "no such field"
        fields[path[0]] = copy.deepcopy(default[path[0]])
    node: Any = fields
    for key in path[:-1]:
        if not isinstance(node, dict) or key not in node:
            return "no such path"
        node = node[key]
    if not isinstance(node, dict):
        return "no such path"
    return _set(node, path[-1], patch.value)


def _set(node: dict[str, Any], key: str, value: Any) -> str:
    """Merge a value into a mapping: mappings key by key, anything else as a whole."""
    if key not in node:
        kinds = {_kind(other) for other in node.values()}
        if kinds and _kind(value) not in kinds:
            return "an entry of another type than its neighbours"
        node[key] = copy.deepcopy(value)
        return ""
    old = node[key]
    if _kind(old) != _kind(value):
        return f"{_kind(old)} cannot become {_kind(value)}"
    if isinstance(old, dict):
        return next((f for k, v in value.items() if (f := _set(old, k, v))), "")
    node[key] = copy.deepcopy(value)
    return ""


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "truth value" if value is not None else "null"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "mapping" if isinstance(value, dict) else "list"


def _too_large(state: Mapping[str, Any]) -> str:
    return "the state becomes too large" if len(json.dumps(state)) > MAX_STATE else ""


def tree_fault(tree: Any) -> str:
    """What is wrong with a file tree, or ""."""
    if not isinstance(tree, dict) or not tree:
        return "no file tree"
    todo = list(tree.items())
    while todo:
        name, node = todo.pop()
        if not name or "/" in name or name in (".", ".."):
            return f"no file name: {name[:40]!r}"
        if not isinstance(node, dict):
            return f"{name[:40]}: no file and no folder"
        inner = node.get("contents")
        if node.get("type") == "directory" and isinstance(inner, dict):
            todo += inner.items()
        elif node.get("type") != "file" or not isinstance(node.get("content"), str):
            return f"{name[:40]}: no file and no folder"
    return ""
