"""Commands for other programs: import reads their tasks, serve offers ours."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from rods.cli.options import EnvOption, JsonFlag, SeedFile
from rods.errors import UserError
from rods.terminal import say

FORMS = ("tau2", "verifiers", "nemo-gym")
TOOLKIT = "tau2.domains.{0}.tools:{1}Tools[-ToolKitBase]"  # of the installed package


def import_(
    form: Annotated[str, typer.Argument(help="tau2, verifiers or nemo-gym.")],
    path: Annotated[Path, typer.Argument(help="A clone of tau2-bench, or rows as JSON lines.")],
    out: Annotated[Path, typer.Option(help="File of tasks to write: JSON lines.")],
    env: Annotated[
        str | None,
        typer.Option(help="Class with the tools; with tau2 by default the package's toolkit."),
    ] = None,
    domain: Annotated[str, typer.Option(help="With tau2: retail or airline.")] = "retail",
    as_json: JsonFlag = False,
) -> None:
    """Write tasks of another program as a task file."""
    from rods.envs.choice import read_spec
    from rods.envs.guard import guard
    from rods.envs.load import load_environment
    from rods.files.output import Output
    from rods.importers.rows import import_rows
    from rods.importers.tau2 import import_tasks, read_domain

    if form not in FORMS:
        raise UserError(f"rods import {form}: choose one of {', '.join(FORMS)}")
    if env is None and form != "tau2":
        raise UserError("--env: name the class with the tools that the rows call")
    output = Output(out, folders=True)
    known = read_domain(path, domain) if form == "tau2" else None
    spec = env or TOOLKIT.format(domain, domain.capitalize())
    guarded = guard(load_environment(spec))
    try:
        made = import_rows(path, guarded) if known is None else import_tasks(known, domain, guarded)
        if known is not None and (words := read_spec(spec)[0].words) is not None:
            made.entries[0]["tools"] = list(words)
    finally:
        guarded.close()
    tasks = sum("turns" in entry for entry in made.entries)
    if not tasks:
        raise UserError(f"{path}: no task; {_most(made.left_out)}")
    output.write(json.dumps(entry) + "\n" for entry in made.entries)
    if as_json:
        summary = {"tasks": tasks, "left_out": made.left_out, "dropped": made.dropped}
        say(json.dumps({"out": str(out), **summary}), stderr=output.on_stdout)
        return
    for name, why in made.left_out.items():
        say(f"left out: {name}: {why}", stderr=output.on_stdout)
    for name, calls in made.dropped.items():
        say(f"failed calls dropped from {name}: {'; '.join(calls)}", stderr=output.on_stdout)
    say(f"{out}: {tasks} tasks; {len(made.left_out)} left out", stderr=output.on_stdout)


def serve(
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Whoever reaches it can call the tools.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0: any that is free.")
    ] = 8000,
    sessions: Annotated[int, typer.Option(min=1, help="Most episodes at once.")] = 64,
) -> None:
    """Offer tasks as an OpenEnv environment."""
    from rods.extras import require

    require("openenv")
    import uvicorn

    from rods.listening import address, listener
    from rods.neighbours.openenv import app
    from rods.neighbours.tasks import Tasks

    with listener(host, port) as listening:
        served = app(Tasks(env, tasks), sessions)
        say(address(host, listening), stderr=True)
        uvicorn.Server(uvicorn.Config(served, log_level="warning")).run(sockets=[listening])


def _most(left_out: dict[str, str]) -> str:
    """The most frequent reason with its count."""
    ((why, count),) = Counter(left_out.values()).most_common(1) or [("it is empty", 0)]
    return f"{count} left out: {why}" if count else why
