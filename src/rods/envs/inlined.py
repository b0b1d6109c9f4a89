"""A JSON schema without references, as models and synthesis read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NODES = 20_000  # of a schema, with its references replaced
DEPTH = 32  # of references within each other


class Inliner:
    """Replaces the references of one schema; a recursive one becomes a plain object.

    Args:
        root: the schema that the references lead into.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root, self._left = root, NODES

    def inlined(self, node: Any) -> Any:
        """A part of the schema without references.

        Raises:
            ValueError: a reference leads nowhere, or the schema becomes too large.
        """
        return self._inline(node, ())

    def _inline(self, node: Any, within: tuple[str, ...]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"its schema has more than {NODES} parts")
        if isinstance(node, list):
            return [self._inline(item, within) for item in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if isinstance(reference, str):
            if reference in within or len(within) > DEPTH:
                return {"type": "object"}
            beside = {key: value for key, value in node.items() if key != "$ref"}
            inner = self._inline(self._target(reference), (*within, reference))
            return {**inner, **beside} if isinstance(inner, dict) else inner
        return {key: self._inline(value, within) for key, value in node.items()}

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            part = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or part not in found:
                raise ValueError(f"the reference {reference!r} leads nowhere")
            found = found[part]
        return found
