"""Which run a folder holds: its settings, and the content of its tools and tasks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rods import __version__
from rods.config import Config, HardwareConfig
from rods.envs.base import Environment
from rods.errors import UserError
from rods.reward import VERSION as REWARD_VERSION
from rods.store.store import Store
from rods.task import Task

FREE = frozenset(
    {
        *("environment.tasks", "synthesis.endpoint"),  # paths of files
        *("steps", "checkpoint_steps", "evaluation.validation_every"),  # about future steps only
        *("report_to", "run_name"),
        *("synthesis.restarts", "synthesis.job_seconds", "synthesis.errors"),
        "environment.limits.workers",
        *(f"hardware.{name}" for name in HardwareConfig.model_fields),
    }
)
"""Settings that may change when a run is continued: its past steps do not depend on them."""
MOST_SHOWN = 80  # characters of one value in a message
MOST_NAMED = 8  # settings in a message


def check_settings(store: Store, config: Config, folder: Path) -> None:
    """A run folder holds one run: settings that its past steps depend on cannot change.

    Tasks and tools are compared by their content after they are read (`check_world`).

    Raises:
        UserError: the folder holds another run; the message names each setting that differs.
    """
    now = {"rods": __version__, **config.model_dump(mode="json")}
    before = store.meta("config")
    if before is not None:
        if names := before.keys() ^ now.keys():
            listed = ", ".join(sorted(names))
            why = f"begun by another version of rods, with other settings ({listed})"
            raise UserError(f"{folder}: {why}; use another folder")
        there = set(store.categories().values())
        if told := difference(_unnamed(before, there), _unnamed(now, there), FREE):
            raise UserError(
                f"{folder}: holds a run with {told}; use another folder or the same settings"
            )
        if config.steps < store.last_step():
            raise UserError(
                f"{folder}: steps = {config.steps}: the run has already reached step"
                f" {store.last_step()}; give more steps"
            )
    if before != now:
        store.set_meta("config", now)


def difference(
    there: Mapping[str, Any], wanted: Mapping[str, Any], free: Collection[str] = ()
) -> str:
    """The settings of a run that are not as they are wanted, such as "pool.beta = 0.2, not 0.25".

    Args:
        there: settings of a run, as plain data.
        free: settings that may differ, by their paths.

    Returns:
        "" if all are the same.
    """
    was, now = dict(by_path(there)), dict(by_path(wanted))
    differ = [k for k in {**now, **was} if k not in free and was.get(k) != now.get(k)]
    kept = ", ".join(f"{key} = {_short(was, key)}" for key in differ[:MOST_NAMED])
    instead = ", ".join(_short(now, key) for key in differ[:MOST_NAMED])
    more = f" ({len(differ)} settings differ)" if len(differ) > MOST_NAMED else ""
    return f"{kept}, not {instead}{more}" if differ else ""


def _short(settings: Mapping[str, Any], key: str) -> str:
    return json.dumps(settings.get(key))[:MOST_SHOWN]


def _unnamed(config: dict[str, Any], there: set[str]) -> dict[str, Any]:
    """The settings without the categories of a stage that names them all, which means the same."""
    stages = [
        {**stage, "categories": []} if there and there <= set(stage["categories"]) else stage
        for stage in config["stages"]
    ]
    return {**config, "stages": stages}


def by_path(config: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting with its path, such as `pool.beta`."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from by_path(value, f"{path}{name}.")
        else:
            yield path + name, value


def check_world(store: Store, env: Environment, tasks: Iterable[Task], folder: Path) -> None:
    """A run's tools, tasks and rewards must be those that it began with.

    Raises:
        UserError: one of them has changed.
    """
    ids = "".join(task.id for task in tasks)
    now = {
        "tools": env.version,
        "tasks": hashlib.sha256(ids.encode()).hexdigest(),
        "rewards": REWARD_VERSION,
    }
    before = store.meta("world") or now
    for what, value in now.items():
        if before.get(what, value) != value:
            raise UserError(
                f"{folder}: the {what} of {env.name} are not those that this run began with; use"
                " another folder, or bring them back"
            )
    store.set_meta("world", now)


def check_model(store: Store, identity: str, folder: Path) -> None:
    """What a run's checkpoints do not contain of its model must be as when it began.

    Args:
        identity: see `rods.policies.registry.LoadedPolicy`.

    Raises:
        UserError: it has changed.
    """
    if (store.meta("model") or identity) != identity:
        message = "the model, its tokenizer or its template is not the one that this run began with"
        raise UserError(f"{folder}: {message}; use another folder, or bring it back")
    store.set_meta("model", identity)
