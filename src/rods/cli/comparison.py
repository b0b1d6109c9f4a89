"""The command that compares configurations of training over random seeds."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from rods.cli.options import JsonFlag
from rods.errors import UserError
from rods.processes import Stopper
from rods.terminal import Screen, command_line, complain, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rods.comparison.result import RunResult


def compare(
    preset: Annotated[str, typer.Option(help="Shipped configuration.")] = "micro",
    arms: Annotated[
        str | None, typer.Option(help="Names of configurations, with commas: static,rods.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Random seeds: 0,1,2 or 0-4.")] = "0",
    out: Annotated[
        Path | None, typer.Option(help="Folder; an interrupted comparison in it is continued.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting of all arms: key.name=value."),
    ] = None,
    arms_file: Annotated[
        Path | None, typer.Option(help="Your own arms, YAML: name: {text, arm, set: [..]}.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at once; else CPUs / OMP_NUM_THREADS.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Only show the results in this folder; no run is started.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare configurations of training. Each is trained with the same random seeds."""
    from rods.comparison.folder import read_results

    if report is not None:
        if arms or out:
            raise UserError("--report: goes without --arms and --out; it starts no run")
        _show(report, read_results(report), as_json=as_json)
        return
    if not arms or out is None:
        raise UserError("rods compare: name --arms and --out DIR, or --report DIR")
    from rods.comparison.arms import chosen, known_arms
    from rods.comparison.folder import begin, open_runs
    from rods.comparison.plan import default_workers, plan, read_seeds
    from rods.comparison.running import Runs

    setups = chosen([name.strip() for name in arms.split(",")], known_arms(arms_file))
    planned = plan(preset, set_ or (), setups, read_seeds(seeds), out)
    begin(out, planned)
    runs = Runs(out, open_runs(out, planned), workers or default_workers(), complain)
    with Stopper() as stopper:
        ended = runs.go(stopper)
    if not ended:
        say(f"Interrupted; nothing is lost. Continue with: {command_line()}", stderr=True)
        raise typer.Exit(128 + (stopper.number or signal.SIGINT))
    if len(runs.failed) < len(planned.runs):
        _show(out, read_results(out), as_json=as_json)
    if runs.failed:
        raise typer.Exit(1)


def _show(folder: Path, results: Sequence[RunResult], *, as_json: bool) -> None:
    """Write the page, and print the tables or JSON."""
    from rods.comparison import text
    from rods.comparison.analysis import analyse
    from rods.comparison.page import write_page

    found = analyse(results)
    page = write_page(folder, results, found)
    if as_json:
        say(json.dumps(found))
        return
    screen = Screen()
    screen.show(_table(text.ARMS, text.arm_rows(found)))
    screen.show(_table(text.COSTS, text.cost_rows(found)))
    if found["contrasts"]:
        screen.show(_table(text.CONTRASTS, text.contrast_rows(found)))
    for line in text.notes(found):
        screen.say(line)
    screen.say(f"Page: {page}")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    columns = [Column(name, justify="right", no_wrap=True) for name in header[1:]]
    table = Table(header[0], *columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(*row)
    return table
