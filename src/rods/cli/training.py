"""Commands around a run: train, report, doctor."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated, get_args

import typer

from rods.cli.common import EnvOption, JsonFlag, SeedFile, SeedOption
from rods.config import Arm, load_config
from rods.errors import UserError
from rods.output import Output
from rods.stopper import Stopper
from rods.terminal import Screen, command_line, say


def train(
    run: Annotated[Path, typer.Option(help="Run folder; an interrupted run goes on.")],
    preset: Annotated[str, typer.Option(help="Shipped configuration.")] = "micro",
    seed: SeedOption = 0,
    arm: Annotated[str, typer.Option(help="rods, static (seeds only) or fresh.")] = "rods",
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: key.name=value.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the closed loop to its report, or go on where it was interrupted."""
    if arm not in get_args(Arm):
        raise UserError(f"--arm {arm}: choose one of {', '.join(get_args(Arm))}")
    own = {"environment__name": env, "environment__tasks": str(tasks.absolute()) if tasks else None}
    config = load_config(preset, set_ or (), seed=seed, arm=arm, **own)
    from rods.display import Display, last_screen
    from rods.report.page import write_report
    from rods.run import train as run_training

    screen, summary = Screen(stderr=as_json), None
    with Stopper() as stopper:
        with Display(config, run, screen) as display, suppress(KeyboardInterrupt):
            summary = run_training(config, run, display, stopper)
        if summary is None:
            screen.tell(f"Interrupted; nothing is lost. Go on with: {command_line()}")
            raise typer.Exit(128 + (stopper.number or signal.SIGINT))
    report = write_report(run)
    if as_json:
        say(json.dumps(summary))
    else:
        last_screen(summary, report, screen)


def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="Default: report.html in the folder.")] = None,
) -> None:
    """Write the run's page: one file, no network needed to open it."""
    from rods.report.page import write_report

    page = write_report(run, out)
    say(str(page), stderr=Output(page).on_stdout)


def doctor(
    run: Annotated[Path | None, typer.Argument(help="Also check this run folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check the installation, and that a run's stored state is whole."""
    from rods.doctor import check

    findings = check(run)
    if as_json:
        say(json.dumps([{"check": n, "ok": ok, "detail": d} for n, ok, d in findings]))
    else:
        for name, ok, detail in findings:
            say(f"{'ok ' if ok else 'BAD'} {name}: {detail}")
    if not all(ok for _, ok, _ in findings):
        raise typer.Exit(2)
