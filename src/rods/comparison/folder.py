"""Folder of a comparison: which comparison it holds, and its compact results."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rods import __version__
from rods.comparison.arms import ArmName, ArmSetup
from rods.comparison.plan import Plan, PlannedRun
from rods.comparison.result import RunResult, read_result, result_path, result_paths
from rods.errors import UserError
from rods.files.output import Output
from rods.files.reading import Setting, parse_json, read_checked, read_override
from rods.store.identity import FREE, by_path, difference

FACTS, PAGE = "comparison.json", "report.html"
# What may differ between alike runs: what may change in one that is continued, such as paths and
# hardware, but not its length and its curve.
MAY_DIFFER = FREE - {"steps", "evaluation.validation_every"}
READ_BY_ALL = ("pool.seeds", "pool.offline", "pool.sampling")  # of the pool's settings


class Facts(Setting):
    """Which comparison a folder holds.

    Attributes:
        rods: version that began it.
        overrides: settings of all arms, as `key=value`.
    """

    rods: str
    preset: str
    overrides: tuple[str, ...]
    arms: dict[ArmName, ArmSetup]

    @property
    def changes(self) -> dict[str, Any]:
        """The overrides by key; the last one of a key counts."""
        return dict(read_override(override, "key.name") for override in self.overrides)


def begin(folder: Path, plan: Plan) -> None:
    """Make the folder of a comparison, or add the plan's arms to the one that is there.

    Raises:
        UserError: it holds something else, or another comparison; or it cannot be written.
    """
    now = Facts(rods=__version__, preset=plan.preset, overrides=plan.overrides, arms=plan.arms)
    output = Output(folder / FACTS, folders=True)
    before = _read_facts(folder)
    if before is not None:
        _check_same(folder, before, now)
        now = before.model_copy(update={"arms": now.arms | before.arms})
    if now != before:
        output.write(json.dumps(now.model_dump(mode="json"), indent=1) + "\n")


def _read_facts(folder: Path) -> Facts | None:
    """None if the folder is missing or empty."""
    path = folder / FACTS
    if not path.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"{folder}: holds something else; name a new folder by --out")
        return None
    return read_checked(path, parse_json, Facts.model_validate)


def _check_same(folder: Path, before: Facts, now: Facts) -> None:
    """Refuse what would mix different runs."""
    why = ""
    if before.preset != now.preset:
        why = f"holds a comparison of preset {before.preset}, not {now.preset}"
    elif before.changes != now.changes:
        listed = (" ".join(facts.overrides) or "none" for facts in (before, now))
        why = "holds a comparison with --set {}, not {}".format(*listed)
    else:
        for name, setup in now.arms.items():
            if name in before.arms and not before.arms[name].same(setup):
                why = f"holds runs of another arm {name}"
                break
    if why:
        raise UserError(f"{folder}: {why}; name a new folder by --out")


def may_differ(config: Mapping[str, Any]) -> Collection[str]:
    """The settings that may differ between runs that are alike.

    Args:
        config: of one of them. Only arm "rods" chooses parent tasks and changes its pool, so the
            others do not read the settings of that.
    """
    values = dict(by_path(config))
    if values.get("arm") == "rods":
        return MAY_DIFFER
    parts = ["pool."] if values.get("pool.sampling") == "priority" else ["pool.", "boundary."]
    unread = {name for name in values if name.startswith(tuple(parts)) and name not in READ_BY_ALL}
    return MAY_DIFFER | unread | {"synthesis.surplus"}


def open_runs(folder: Path, plan: Plan) -> list[PlannedRun]:
    """The runs of the plan that have no compact result yet.

    Raises:
        UserError: a compact result is damaged, or is of a run with other settings, which includes
            a preset that has changed.
    """
    missing = []
    for run in plan.runs:
        path = result_path(folder, run.name)
        if not path.exists():
            missing.append(run)
        elif told := difference(read_result(path).config, run.values, may_differ(run.values)):
            raise UserError(f"{path}: is of a run with {told}; remove it, or use a new --out")
    return missing


def read_results(folder: Path) -> list[RunResult]:
    """All compact results of a folder, which fit together.

    Raises:
        UserError: there are none, one is damaged, or they are of different presets, settings of an
            arm, or held-out sides; the message names the file.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found = [read_result(path) for path in result_paths(folder)]
    if not found:
        raise UserError(f"{folder}: no result of a run (ARM-SEED.json) is in it")
    check_alike(folder, found)
    return found


def check_alike(folder: Path, results: Sequence[RunResult]) -> None:
    """Refuse results that cannot be compared.

    Raises:
        UserError: naming the file of the first result that differs, and what differs.
    """
    first, arms = results[0], dict[str, RunResult]()
    for one in results:
        same = arms.setdefault(one.arm, one)
        path = result_path(folder, one.name)
        for name in ("preset", "side"):
            here, there = getattr(one, name), getattr(first, name)
            if here != there:
                told = f"{name}: is {here}, not {there} as of {first.name}"
                raise UserError(f"{path}: {told}; compare runs that are alike")
        if told := difference(one.config, same.config, may_differ(one.config)):
            told = f"is of a run with {told} as of {same.name}"
            raise UserError(f"{path}: {told}; compare runs that are alike")
