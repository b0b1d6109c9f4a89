"""What a server answers to a call, as the agent sees it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from rods.envs.base import Observation
from rods.envs.mcp.masks import Masks
from rods.envs.python import MAX_RESPONSE

MOST = 4 * MAX_RESPONSE  # characters that masks are applied to


def observed(result: dict[str, Any], masks: Masks, errors: tuple[str, ...]) -> Observation:
    """The observation of a `CallToolResult` in its form on the wire.

    It failed if it says so (`isError`), if its structured content has an `error`, or if its text
    has one of the file's patterns of errors.
    """
    blocks = result.get("content")
    structured = result.get("structuredContent")
    parts = [_text(block, masks) for block in blocks if isinstance(block, dict)] if blocks else []
    text = "\n".join(parts) if parts else "" if structured is None else json.dumps(structured)
    text = masks.shown(text[:MOST])[:MAX_RESPONSE]
    failed = bool(result.get("isError")) or _says_error(structured) or _says_error(_json(text))
    failed = failed or any(re.search(pattern, text) for pattern in errors)
    return Observation(text, not failed)


def _text(block: dict[str, Any], masks: Masks) -> str:
    """A block as text; one that has none is named by its type and content."""
    resource = block.get("resource")
    for holder in (block, resource):
        if isinstance(holder, dict) and isinstance(holder.get("text"), str):
            return str(holder["text"])
    kind, where = block.get("type"), block.get("uri", "")
    data = json.dumps(masks.compared(block), sort_keys=True)
    return f"[{kind} {where} {hashlib.sha256(data.encode()).hexdigest()[:12]}]"


def _says_error(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    inner = value.get("result")
    return bool(value.get("error")) or (isinstance(inner, dict) and bool(inner.get("error")))


def _json(text: str) -> Any:
    if not text.startswith("{"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
