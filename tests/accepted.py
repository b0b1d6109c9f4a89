"""Gives a command to the real command line, which reads it as always and then does nothing."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from commandline import call
from rods.cli.commands import app
from rods.comparison.arms import chosen, known_arms
from rods.comparison.plan import plan, read_seeds
from rods.presets import load_config
from rods.simulate.study import plan as study


def accepted(patched: pytest.MonkeyPatch, *arguments: str) -> None:
    """Fails on what the command would refuse before it begins.

    These are unknown options, values of a wrong type, what is missing, and for a configuration
    unknown presets, settings and arms. Files need not be there, but for `--arms-file`.
    """
    taken: dict[str, Any] = {}
    with patched.context() as here:
        for group in (app, *(each.typer_instance for each in app.registered_groups)):
            for known in group.registered_commands:
                here.setattr(known, "callback", _recording(known.callback, taken))
        assert call(here, *arguments) == 0, arguments
    configured = {"train": _train, "compare": _compare, "simulate": _simulate}
    if taken.get("command") in configured:
        configured[taken["command"]](taken)


def _recording(command: Any, taken: dict[str, Any]) -> Any:
    def record(**arguments: Any) -> None:
        taken.update(command=command.__name__, **arguments)

    return functools.wraps(command)(record)


def _train(taken: dict[str, Any]) -> None:
    tasks = "tasks.yaml" if taken["tasks"] else None
    if "policy.name=" not in str(taken["set_"]):  # a kind of policy of the reader's
        own = {"environment__name": taken["env"], "environment__tasks": tasks}
        load_config(taken["preset"], taken["set_"] or (), arm=taken["arm"], **own)


def _compare(taken: dict[str, Any]) -> None:
    if taken["report"] is None:
        setups = chosen(taken["arms"].split(","), known_arms(taken["arms_file"]))
        seeds = read_seeds(taken["seeds"])
        plan(taken["preset"], taken["set_"] or (), setups, seeds, taken["out"])


def _simulate(taken: dict[str, Any]) -> None:
    numbers = {name: taken[name] for name in ("steps", "epochs", "seeds", "seed")}
    arms = taken["arm"] or ()
    study(taken["preset"], taken["set_"] or (), taken["sweep"] or (), arms=arms, **numbers)
