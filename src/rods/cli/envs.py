"""Commands for environments of the user's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rods.cli.common import JsonFlag
from rods.errors import UserError
from rods.terminal import say


def check(
    spec: Annotated[str, typer.Argument(help="package.module:Class, several joined by commas.")],
    tasks: Annotated[Path | None, typer.Option(help="Also play the tasks of this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Probe a Python class as an environment; a verdict for each method. Exit 1 if one fails."""
    from rods.envs.check import check as probe
    from rods.envs.guard import GuardedEnvironment
    from rods.envs.load import load_environment
    from rods.envs.python import PythonEnvironment
    from rods.envs.task_file import read_task_file

    env = load_environment(spec)
    if not isinstance(env, PythonEnvironment):
        raise UserError(f"environment {spec!r}: is no Python class of yours")
    guarded = GuardedEnvironment(env)
    found = read_task_file(tasks, guarded, tuple(env.classes)) if tasks else []
    guarded.close()
    problems = probe(env, found)
    if as_json:
        say(json.dumps({"environment": env.name, "tasks": len(found), "methods": problems}))
    else:
        width = max(map(len, problems))
        for name, faults in problems.items():
            say(f"{'BAD' if faults else 'ok '} {name:{width}}  {'; '.join(faults)}".rstrip())
        bad = sum(map(bool, problems.values()))
        played = f", {len(found)} ground truths played" if found else ""
        say(f"{len(problems) - bad} of {len(problems)} sound{played}")
    if any(problems.values()):
        raise typer.Exit(1)
