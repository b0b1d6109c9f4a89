"""The command that plans a run: simulate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from rods.cli.common import JsonFlag, SeedOption
from rods.errors import UserError
from rods.output import Output
from rods.terminal import Bar, Screen, say


def simulate(
    preset: Annotated[str, typer.Option(help="Shipped configuration.")] = "simulate",
    tasks: Annotated[int | None, typer.Option(min=1, help="Seed tasks; else the preset's.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Training steps; else the preset's, at least one epoch."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the seeds instead.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="rods, static, fresh; again for more. Else static and rods, or rods."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting: key.name=value; also learner., world."),
    ] = None,
    sweep: Annotated[
        list[str] | None, typer.Option(help="Compare values: key.name=v1,v2; again for a grid.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Random seeds; else 20, or 1 in a large run.")
    ] = None,
    seed: SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="Write a page with figures: FILE.html.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Choose parameters before training: a simulated learner in the real loop."""
    from rods.simulate.page import render
    from rods.simulate.study import plan
    from rods.simulate.summary import as_json as results
    from rods.simulate.summary import summarise
    from rods.simulate.table import HEADER, READ, cells

    if steps and epochs:
        raise UserError("--epochs: give either steps or epochs")
    page = Output(out) if out else None
    overrides = [f"pool.seeds={tasks}"] * (tasks is not None) + (set_ or [])
    study = plan(
        preset, overrides, sweep or (), arms=arm or (), steps=steps, epochs=epochs,
        seeds=seeds, seed=seed,
    )  # fmt: skip
    with Bar("groups", study.groups()) as bar:
        rows = summarise([*study.run(bar.advance)])
    if page:
        page.write(render(rows, study))
    stderr = page is not None and page.on_stdout
    if as_json:
        say(json.dumps(results(rows, study)), stderr=stderr)
        return
    columns = [Column(name, justify="right", no_wrap=True) for name in HEADER[1:]]
    table = Table(HEADER[0], *columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for row in cells(rows):
        table.add_row(*row)
    screen = Screen(stderr=stderr)
    screen.show(table)
    screen.tell(f"{len(study.seeds)} seeds, {study.trajectories:,} trajectories a run. {READ}")
    if out:
        screen.tell(f"Page: {out}")
