"""Values from a session's state: for BFCL by kind, for other environments by name."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from rods.envs.base import Session
from rods.envs.lexicon import GENERIC, stems
from rods.synthesis.catalogue import spaced
from rods.task import Call

MAX_NODES = 2_000
MAX_VALUES = 16  # of one kind
SHOWN = 12  # directory entries
WORD = re.compile(r"[A-Za-z]{3,12}")


class StateValues:
    """Values by kind; those without a kind by the name that the state has for them.

    Attributes:
        snapshot: the state.
    """

    def __init__(self, session: Session) -> None:
        self.snapshot = session.state()
        data = self.snapshot.data
        self._state = data if isinstance(data, dict) else {}
        self._by_kind = _bfcl(self._state, session)
        self._by_name: dict[str, list[Any]] | None = None

    def of(self, kind: str, parameter: str) -> list[Any]:
        """Values for a parameter of that kind; empty if the state has none."""
        if kind in self._by_kind or kind != parameter:
            return self._by_kind.get(kind, [])
        if self._by_name is None:
            self._by_name = named_values(self._state)
        if parameter in self._by_name:
            return self._by_name[parameter]
        parts = stems(parameter) - GENERIC
        names = [n for n in self._by_name if parts & stems(n)]
        shared = {n: len(parts & stems(n)) / len(stems(n) | parts) for n in names}
        best = max(shared, key=lambda n: (shared[n], n), default="")
        return self._by_name[best] if best else []


def named_values(state: Any) -> dict[str, list[Any]]:
    """Scalars of a state by their key.

    The keys of a mapping from ids to records are values too, under the singular of the mapping's
    name, and under that name with "_id".
    """
    found: dict[str, dict[Any, None]] = defaultdict(dict)
    stack, left = [("", state)], MAX_NODES
    while stack and left:
        name, item = stack.pop()
        left -= 1
        if isinstance(item, dict):
            if name and item and all(isinstance(inner, dict | list) for inner in item.values()):
                for key in item:
                    for alias in (_singular(name), f"{_singular(name)}_id"):
                        found[alias][key] = None
            stack += [(key, inner) for key, inner in reversed(item.items())]
        elif isinstance(item, list):
            stack += [(_singular(name), inner) for inner in reversed(item)]
        elif isinstance(item, str | int | float) and not isinstance(item, bool) and name:
            found[name][item] = None
    return {name: list(values)[:MAX_VALUES] for name, values in found.items()}


def _singular(name: str) -> str:
    word = spaced(name).replace(" ", "_")
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _bfcl(state: dict[str, Any], session: Session) -> dict[str, list[Any]]:
    """Values of the benchmark's simulators, by the kinds of phrases.yaml."""
    values: dict[str, list[Any]] = defaultdict(list)
    if "GorillaFileSystem" in state:
        listing = session.call(Call.model_construct(name="ls", arguments={"a": True})).text
        names = _json(listing).get("current_directory_content") or []
        names = [n for n in names if len(n) <= 32][:SHOWN]
        root = state["GorillaFileSystem"]["root"]
        folders = set(_folders(root))
        values["entry"] += names
        values["file"] += [n for n in names if n not in folders] or names
        for kind in ("folder", "destination"):
            values[kind] += [n for n in names if n in folders] or names
        values["word"] += _words_of(root)
    if "TwitterAPI" in state:
        twitter = state["TwitterAPI"]
        values["username"] += [twitter["username"]]
        values["password"] += [twitter["password"]]
        values["followed"] += twitter["following_list"]
        values["tweet_id"] += [int(i) for i in twitter["tweets"]]
        values["handle"] += [t["username"] for t in twitter["tweets"].values() if "username" in t]
    if "MessageAPI" in state:
        users = state["MessageAPI"].get("user_map", {})
        values["contact"] += list(users)
        values["user_id"] += list(users.values())
    if "TradingBot" in state:
        values["stock"] += list(state["TradingBot"]["stocks"])[:16]
        values["order_id"] += [i for i in state["TradingBot"]["orders"] if isinstance(i, int)]
    if "TravelAPI" in state:
        travel = state["TravelAPI"]
        values["token"] += [travel["access_token"]] if travel.get("access_token") else []
        values["card_id"] += list(travel["credit_card_list"])[:8]
        values["booking_id"] += list(travel["booking_record"])[:8]
    if "TicketAPI" in state:
        queue = state["TicketAPI"]["ticket_queue"]
        values["ticket_id"] += [t["id"] for t in queue if isinstance(t.get("id"), int)]
    return values


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _folders(tree: Any) -> Iterator[str]:
    """Names of all folders below a tree's root."""
    for name, child in tree[2].items():
        if child[0] != "file":
            yield name
            yield from _folders(child)


def _words_of(tree: Any) -> list[str]:
    kind, _, content = tree
    if kind == "file":
        return [str(w) for w in WORD.findall(content[:120])][:6]
    return [w for child in list(content.values())[:8] for w in _words_of(child)][:40]
