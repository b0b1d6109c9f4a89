"""Commands on a run: train, simulate, report, doctor."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
import yaml
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from rods.cli.options import EnvOption, JsonFlag, SeedFile, SeedOption
from rods.config import Arm, Config
from rods.errors import UserError
from rods.files.output import Output
from rods.presets import load_config
from rods.processes import Stopper
from rods.terminal import Bar, Screen, command_line, say

ENGINES = ("trl", "verl")
ANYWHERE = {"nodes": 1, "address": None, "rollout": "vllm", "makers": 0, "seeded": True}
"""What the options for verl are by default."""


def train(
    run: Annotated[
        Path | None, typer.Option(help="Run folder; an interrupted run in it is continued.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Shipped configuration.")] = "micro",
    seed: SeedOption = 0,
    arm: Annotated[str, typer.Option(help="rods, static (seed tasks only) or fresh.")] = "rods",
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: key.name=value.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check all and print what the run will need; no training."),
    ] = False,
    engine: Annotated[str, typer.Option(help="trl, or verl on Ray.")] = "trl",
    nodes: Annotated[int, typer.Option(min=1, help="Machines, with verl.")] = 1,
    ray: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster, with verl; else this machine.")
    ] = None,
    rollout: Annotated[str, typer.Option(help="What samples with verl: vllm or sglang.")] = "vllm",
    makers: Annotated[
        int, typer.Option(min=0, help="Processes of Ray that make variants inline, with verl.")
    ] = 0,
    seeded: Annotated[
        bool, typer.Option(help="Each request to verl's servers has a random seed.")
    ] = True,
    verl: Annotated[
        list[str] | None, typer.Option(help="One of verl's own settings: key.name=value.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Train with the closed loop and write the report. The same command continues the run."""
    if arm not in get_args(Arm):
        raise UserError(f"--arm {arm}: choose one of {', '.join(get_args(Arm))}")
    from rods.envs.task_file import chosen_spec

    named = chosen_spec(env, tasks)
    own = {"environment__name": named, "environment__tasks": _path(tasks)}
    config = load_config(preset, set_ or (), seed=seed, arm=arm, **own)
    if engine not in ENGINES:
        raise UserError(f"--engine {engine}: choose one of {', '.join(ENGINES)}")
    on_verl = engine == "verl"
    where: dict[str, Any] = {
        "nodes": nodes,
        "address": ray,
        "rollout": rollout,
        "makers": makers,
        "seeded": seeded,
    }
    if not on_verl and (verl or where != ANYWHERE):
        names = "--nodes, --ray, --rollout, --makers, --no-seeded and --verl"
        raise UserError(f"{names} need --engine verl")
    where |= {"overrides": tuple(verl or ())}
    if dry_run:
        _dry_run(config, (run or Path("RUN"), where) if on_verl else None, as_json=as_json)
        return
    if run is None:
        raise UserError("--run: name the folder of the run, or use --dry-run (rods train --help)")
    if on_verl:
        _train_on_verl(config, run, where, as_json=as_json)
        return
    from rods.cli.display import Display, NoDisplay, last_screen
    from rods.ranks import started
    from rods.report.page import write_report
    from rods.run import train as run_training

    screen, summary, ranks = Screen(stderr=as_json), None, started()
    shown = Display(config, run, screen) if ranks.first else NoDisplay()
    with Stopper() as stopper:
        with shown as display, suppress(KeyboardInterrupt):
            summary = run_training(config, run, display, stopper, ranks)
            ranks.close()
        if summary is None:
            if ranks.first:
                screen.say(_interrupted())
            raise typer.Exit(128 + (stopper.number or signal.SIGINT))
    if not ranks.first:
        return
    report = write_report(run)
    if as_json:
        say(json.dumps(summary))
    else:
        last_screen(summary, report, screen)


def _path(tasks: Path | None) -> str | None:
    return str(tasks.absolute()) if tasks else None


def _interrupted() -> str:
    return f"Interrupted; nothing is lost. Continue with: {command_line()}"


def _train_on_verl(config: Config, run: Path, where: Mapping[str, Any], *, as_json: bool) -> None:
    """Train on Ray; the processes of the run print their own lines."""
    from rods.metrics import SUMMARY
    from rods.report.page import write_report
    from rods.trainers.verl.launch import train as train_on_verl
    from rods.trainers.verl.settings import Cluster
    from rods.trainers.verl.stopping import Asking

    stopper = Asking(run)
    try:
        train_on_verl(config, run, Cluster(**where), stopper)
    except KeyboardInterrupt:
        Screen(stderr=as_json).say(_interrupted())
        raise typer.Exit(128 + (stopper.number or signal.SIGINT)) from None
    report = write_report(run)
    say((run / SUMMARY).read_text("utf-8") if as_json else f"Report: {report}")


def _dry_run(config: Config, verl: tuple[Path, Mapping[str, Any]] | None, *, as_json: bool) -> None:
    """Print what can be known of a run before it begins.

    Args:
        verl: folder of the run and where verl runs; None: TRL trains.
    """
    from rods.extras import TRAINER, VERL
    from rods.preflight.dry_run import dry_run
    from rods.preflight.text import show

    facts = dry_run(config, VERL if verl else TRAINER)
    plan = _verl_plan(config, *verl) if verl else None
    if as_json:
        say(json.dumps(facts if plan is None else {**facts, "verl": plan}))
        return
    show(facts, Screen())
    if plan is not None:
        say("verl's whole configuration:")
        for line in yaml.safe_dump(plan, sort_keys=False).splitlines():
            say(line)


def _verl_plan(config: Config, run: Path, where: Mapping[str, Any]) -> dict[str, Any]:
    """verl's whole configuration of the run."""
    from rods.trainers.verl.launch import plan
    from rods.trainers.verl.settings import Cluster

    return plan(config, run, Cluster(**where))


def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Default: report.html in the run folder.")
    ] = None,
) -> None:
    """Write the report of a run: one HTML page that needs no network."""
    from rods.report.page import write_report

    page = write_report(run, out)
    say(str(page), stderr=Output(page).on_stdout)


def doctor(
    run: Annotated[Path | None, typer.Argument(help="Also check this run folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check the installation, and the stored state of a run."""
    from rods.doctor import check

    findings = check(run)
    if as_json:
        say(json.dumps([{"check": n, "ok": ok, "detail": d} for n, ok, d in findings]))
    else:
        for name, ok, detail in findings:
            say(f"{'ok ' if ok else 'BAD'} {name}: {detail}")
    if not all(ok for _, ok, _ in findings):
        raise typer.Exit(2)


def simulate(
    preset: Annotated[str, typer.Option(help="Shipped configuration.")] = "simulate",
    tasks: Annotated[int | None, typer.Option(min=1, help="Seed tasks; else the preset's.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Training steps; else the preset's, at least one epoch of seed tasks."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the seed tasks, instead of steps.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="rods, static or fresh; repeatable. Else static and rods, or rods."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting: key.name=value; also learner., world."),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(help="Compare values: key.name=v1,v2; repeat for a grid."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Random seeds; else 20, or 1 in a large run.")
    ] = None,
    seed: SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="Write a page with figures: FILE.html.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare settings before training. A simulated learner drives the real loop."""
    from rods.simulate.page import render
    from rods.simulate.study import plan
    from rods.simulate.summary import HEADER, READ, cells, summarise
    from rods.simulate.summary import as_json as results

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
    screen.say(f"{len(study.seeds)} seeds, {study.trajectories:,} trajectories per run. {READ}")
    if out:
        screen.say(f"Page: {out}")
