"""Start states of variants: those of seed tasks with other people, new values and added files."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rods.envs.bfcl_data import SIMULATORS
from rods.envs.bfcl_mends import deep_copy
from rods.synthesis.meaning.equalities import Equalities
from rods.synthesis.meaning.keeping import with_equalities
from rods.synthesis.people import People, with_names
from rods.synthesis.values import ValueSource
from rods.task import Task

OLD_NAME = 0.4  # share of files and folders that keep their name
MORE_FILES = 0.25  # share of folders that get one more file
REDRAWN = {"fuelLevel", "balance", "budget_limit", "batteryVoltage", "acTemperature", "fanSpeed"}
REDRAWN |= {"price", "frontLeftTirePressure", "rearRightTirePressure", "distanceToNextVehicle"}
Arguments = dict[str, list[dict[str, Any]]]


class StartStates:
    """The start states of the seed tasks by class, each with calls that are known to work in it.

    Args:
        owners: the class of each tool.
        equalities: of the seed tasks' start states, which new ones keep.
    """

    def __init__(
        self, seeds: Iterable[Task], owners: dict[str, str], equalities: Equalities
    ) -> None:
        self._owners, self._equalities = owners, equalities
        self._by_class: dict[str, list[tuple[Any, Arguments]]] = defaultdict(list)
        seeds = list(seeds)
        self._people = People(seeds)
        for seed in seeds:
            used: dict[str, Arguments] = defaultdict(lambda: defaultdict(list))
            for call in seed.calls:
                used[owners[call.name]][call.name].append(call.arguments)
            for name in seed.classes:
                self._by_class[name].append((seed.start.get(name), dict(used[name])))

    def draw(
        self, classes: Sequence[str], tools: Collection[str], source: ValueSource
    ) -> tuple[dict[str, Any], Arguments]:
        """A new start state, and argument sets that suit it.

        Args:
            tools: the plan's; each class starts as in a seed task that uses the most of them.
        """
        start: dict[str, Any] = {}
        near: Arguments = {}
        for name in classes:
            known = self._by_class.get(name, ())
            if not known:
                continue
            needed = {tool for tool in tools if self._owners[tool] == name}
            shares = [len(needed & used.keys()) for _, used in known]
            most = max(shares)
            entry, used = source.rng.choice(
                [k for k, share in zip(known, shares, strict=True) if share == most]
            )
            if entry is None:
                if name not in SIMULATORS:  # it starts as its tools make it, the same each time
                    near |= used
                continue
            entry = deep_copy(entry)
            renamed: dict[str, str] = {}
            if name == "GorillaFileSystem":
                entry = _rename_tree(entry, source, renamed)
            start[name] = _redrawn(entry, source.rng)
            near |= {tool: [_mapped(a, renamed) for a in sets] for tool, sets in used.items()}
        start = with_equalities(start, self._equalities)
        names = self._people.exchanged(start, source.rng)
        return with_names(start, names), with_names(near, names)


def _mapped(arguments: dict[str, Any], renamed: dict[str, str]) -> dict[str, Any]:
    return {n: renamed.get(v, v) if isinstance(v, str) else v for n, v in arguments.items()}


def _redrawn(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        return {
            k: round(v * rng.uniform(0.7, 1.1), 1)
            if k in REDRAWN and isinstance(v, float)
            else _redrawn(v, rng)
            for k, v in value.items()
        }
    return value


def _rename_tree(entry: Any, source: ValueSource, names: dict[str, str]) -> Any:
    """Rename files and folders, keeping the tree and the files' extensions, and add files.

    Args:
        names: the new name of each old one is added to it.
    """

    def rename(contents: dict[str, Any]) -> dict[str, Any]:
        renamed: dict[str, Any] = {}
        for name, node in contents.items():
            folder = node.get("type") == "directory"
            stem = source.new_name(folder=True)
            _, dot, extension = name.rpartition(".")
            fresh = stem if folder or not dot else f"{stem}.{extension}"
            if source.rng.random() < OLD_NAME or fresh in renamed or fresh in contents:
                fresh = name
            if folder:
                node = {**node, "contents": rename(node.get("contents", {}))}
            renamed[fresh], names[name] = node, fresh
        if source.rng.random() < MORE_FILES and (more := source.new_name()) not in {
            *contents,
            *renamed,
        }:
            renamed[more] = {"type": "file", "content": source.bank.excerpt(source.rng)}
        return renamed

    root = entry.get("root")
    if not isinstance(root, dict) or not root:
        return entry
    first, *others = root.items()
    name, node = first
    return {
        **entry,
        "root": {name: {**node, "contents": rename(node.get("contents", {}))}, **dict(others)},
    }
