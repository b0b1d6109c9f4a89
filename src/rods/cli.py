"""The command line: one thin command a verb. Exit 0 on success, 2 on unusable input."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console

from rods import __version__
from rods.config import Arm, load_config
from rods.errors import UserError
from rods.task import Category

app = typer.Typer(
    help="Reward-driven online data synthesis for multi-turn tool-use agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
envs_app = typer.Typer(help="Environments of your own.", no_args_is_help=True)
app.add_typer(envs_app, name="envs")
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def train(
    run: Annotated[Path, typer.Option(help="Run folder; an interrupted run goes on.")],
    preset: Annotated[str, typer.Option(help="Shipped configuration.")] = "micro",
    seed: Annotated[int, typer.Option(min=0, help="Source of all randomness.")] = 0,
    arm: Annotated[str, typer.Option(help="rods, static (seeds only) or fresh.")] = "rods",
    env: Annotated[
        str, typer.Option(help="bfcl, or package.module:Class, several joined by commas.")
    ] = "bfcl",
    tasks: Annotated[
        Path | None, typer.Option(help="Tasks for classes of your own, YAML or JSON lines.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: key.name=value.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the closed loop to its report, or go on where it was interrupted."""
    if arm not in get_args(Arm):
        raise UserError(f"--arm {arm}: choose one of {', '.join(get_args(Arm))}")
    own = {"environment__name": env, "environment__tasks": str(tasks) if tasks else None}
    config = load_config(preset, set_ or (), seed=seed, arm=arm, **own)
    from rods.display import Display, last_screen
    from rods.report.page import write_report
    from rods.run import train as run_training

    console = Console(stderr=as_json)
    with Display(config, run, console) as display:
        summary = run_training(config, run, display)
    if summary is None:
        again = shlex.join(["rods", *sys.argv[1:]])
        console.print(f"Interrupted; nothing is lost. Go on with: {again}", highlight=False)
        raise typer.Exit(130)
    report = write_report(run)
    if as_json:
        print(json.dumps(summary))
    else:
        last_screen(summary, report, console)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="Default: report.html in the folder.")] = None,
) -> None:
    """Write the run's page: one file, no network needed to open it."""
    from rods.report.page import write_report

    typer.echo(str(write_report(run, out)))


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help='Lines {"task": id, "turns": [["f(a=1)"], ...]}.')],
    as_json: JsonFlag = False,
) -> None:
    """Verdicts for logged episodes, a line each; a line that is no episode is left out."""
    from rods.envs.bfcl import BfclEnvironment
    from rods.envs.bfcl_data import benchmark_tasks
    from rods.envs.guard import GuardedEnvironment
    from rods.scoring import Scorer

    env = GuardedEnvironment(BfclEnvironment())
    scorer = Scorer(env, benchmark_tasks(), complain=_complain)
    rewards = []
    for row in scorer.score(file):
        rewards.append(row["progress"])
        if as_json:
            typer.echo(json.dumps(row))
        else:
            turns = " ".join("ok" if t["state"] and t["exec"] else "--" for t in row["turns"])
            typer.echo(f"{row['task']}: progress {row['progress']:.3f}  {turns}  {row['ending']}")
    env.close()
    if rewards and not as_json:
        complete = sum(reward == 1.0 for reward in rewards)
        mean = sum(rewards) / len(rewards)
        typer.echo(f"{len(rewards)} episodes: mean progress {mean:.3f}, {complete} complete")
    if scorer.refusals and not as_json:
        typer.echo(f"calls stopped: {_funnel(scorer.refusals)}")
    if scorer.bad:
        raise typer.Exit(2)


@app.command()
def audit(
    category: Annotated[str | None, typer.Option(help="Only this category.")] = None,
    notes: Annotated[bool, typer.Option(help="Also what does not make a task unusable.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Seeds with faults, each with its evidence. Training leaves those of its side out."""
    from rods.audit import audit as audit_task
    from rods.audit import audit_tools
    from rods.envs.bfcl import BfclEnvironment
    from rods.envs.bfcl_data import benchmark_tasks, split

    if category is not None and category not in tuple(Category):
        raise UserError(f"--category {category}: choose one of {', '.join(Category)}")
    env, sides = BfclEnvironment(), split()
    tasks = [t for t in benchmark_tasks().values() if category in (None, t.category)]
    found = [*audit_tools(), *(f for task in tasks for f in audit_task(task, env))]
    shown = [f for f in found if f.faulty or notes or not f.task]
    for f in shown:
        side = sides.get(f.task, "")
        if as_json:
            typer.echo(json.dumps({**f._asdict(), "faulty": f.faulty, "side": side}))
        else:
            typer.echo(f"{f.task or 'tool'}{f' ({side})' if side else ''}: {f.kind}: {f.evidence}")
    if not as_json:
        faulty = {f.task for f in found if f.faulty}
        out = sum(sides[name] != "test" for name in faulty)
        typer.echo(
            f"{len(faulty)} of {len(tasks)} tasks have faults; {out} are left out of training and"
            f" validation. {sum(not f.faulty for f in found)} notes."
        )


@app.command()
def play(
    task: Annotated[str, typer.Argument(help="Official id, as multi_turn_base_3.")],
) -> None:
    """Answer a task yourself: a line of calls an attempt, an empty line ends the turn."""
    from rods.envs.bfcl import BfclEnvironment
    from rods.envs.bfcl_data import benchmark_tasks
    from rods.envs.guard import GuardedEnvironment
    from rods.play import play as play_task

    if task not in benchmark_tasks():
        raise UserError(f"task {task!r}: no such task; they are named like multi_turn_base_3")
    env = GuardedEnvironment(BfclEnvironment())
    try:
        lines = (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
        play_task(benchmark_tasks()[task], env, _prompted(lines), typer.echo)
    finally:
        env.close()


def _prompted(lines: Iterator[str]) -> Iterator[str]:
    while True:
        if sys.stdin.isatty():
            print("> ", end="", flush=True)
        try:
            yield next(lines)
        except StopIteration:
            return


@app.command()
def synth(
    count: Annotated[int, typer.Option(min=1, help="Tasks to make.")],
    out: Annotated[Path, typer.Option(help="JSON lines to write; goes on if interrupted.")],
    category: Annotated[str | None, typer.Option(help="Only this category.")] = None,
    env: Annotated[
        str, typer.Option(help="bfcl, or package.module:Class, several joined by commas.")
    ] = "bfcl",
    tasks: Annotated[
        Path | None, typer.Option(help="Seeds for classes of your own, YAML or JSON lines.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Of bfcl: train, or train+validation.")] = "train",
    stories: Annotated[bool, typer.Option(help="Let a person with a purpose speak.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Source of all randomness.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 for one a core.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Make verified variants of seeds: the offline pipeline."""
    from rods.synthesis.factory import Factory
    from rods.synthesis.order import Order

    order = Order(env, tasks, seeds, category, stories, seed)
    factory = Factory(out, order.settings())
    batches = order.batches(workers or os.cpu_count() or 1)
    with _progress() as bar:
        job = bar.add_task("synthesis", total=count)
        for made in factory.run(count, batches):
            tried = max(1, factory.funnel["tried"])
            bar.update(job, completed=made, description=f"{made / tried:.0%} of attempts admitted")
    if as_json:
        told = {"tasks": factory.made, "stages": factory.passed, "funnel": factory.funnel}
        typer.echo(json.dumps(told))
        return
    stages = [("tried", factory.funnel["tried"]), *factory.passed.items()]
    refused = {k: n for k, n in factory.funnel.items() if k not in ("tried", "admitted")}
    typer.echo(f"{out}: {factory.made} tasks")
    typer.echo(" -> ".join(f"{n} {stage}" for stage, n in [*stages, ("admitted", factory.made)]))
    typer.echo(f"refused: {_funnel(refused)}")


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="JSON lines of tasks, or a run folder.")],
    env: Annotated[str, typer.Option(help="bfcl, or package.module:Class.")] = "bfcl",
    tasks: Annotated[Path | None, typer.Option(help="Seeds of classes of your own.")] = None,
    seeds: Annotated[str, typer.Option(help="Of bfcl: train, or train+validation.")] = "train",
    as_json: JsonFlag = False,
) -> None:
    """Run every gate again on tasks from a file or on a run's synthetic tasks."""
    from rods.files import read_tasks
    from rods.synthesis.world import world_of
    from rods.verify import verify_tasks

    found = read_tasks(path)
    synthetic = [t for t in found if t.origin != "benchmark"] if path.is_dir() else found
    outcomes: dict[str, str] = {}
    with _progress() as bar:
        outcomes |= bar.track(
            verify_tasks(synthetic, world_of(env, tasks, seeds), parents=found),
            total=len(synthetic),
            description="verifying",
        )
    refused = {task_id: gate for task_id, gate in outcomes.items() if gate}
    if as_json:
        result: dict[str, Any] = {"tasks": len(outcomes), "refused": refused}
        typer.echo(json.dumps(result))
    else:
        for task_id, gate in refused.items():
            typer.echo(f"{task_id}: {gate}")
        typer.echo(f"{len(outcomes) - len(refused)} of {len(outcomes)} tasks pass every gate")
    if refused:
        raise typer.Exit(1)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="JSON lines of tasks, or a run folder.")],
    form: Annotated[str, typer.Option("--format", help="bfcl, trl, verl or parquet.")],
    out: Annotated[Path, typer.Option(help="New folder.")],
    env: Annotated[
        str, typer.Option(help="bfcl, or package.module:Class, several joined by commas.")
    ] = "bfcl",
    as_json: JsonFlag = False,
) -> None:
    """Tasks as files for the benchmark's checker, for trainers, or as a table."""
    from rods.export.folder import export as export_tasks

    tasks, left = export_tasks(file, form, out, env)
    if as_json:
        missing = [item.task.id for item in left]
        told = {"tasks": tasks, "format": form, "out": str(out), "left_out": missing}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{out}: {tasks} tasks as {form}")
    for item in left:
        typer.echo(f"left out: {item.where}: the official checker refuses its ground truth")


@app.command()
def doctor(
    run: Annotated[Path | None, typer.Argument(help="Also check this run folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check the installation, and that a run's stored state is whole."""
    from rods.doctor import check

    findings = check(run)
    if as_json:
        typer.echo(json.dumps([{"check": n, "ok": ok, "detail": d} for n, ok, d in findings]))
    else:
        for name, ok, detail in findings:
            typer.echo(f"{'ok ' if ok else 'BAD'} {name}: {detail}")
    if not all(ok for _, ok, _ in findings):
        raise typer.Exit(2)


@envs_app.command("check")
def envs_check(
    spec: Annotated[str, typer.Argument(help="package.module:Class, several joined by commas.")],
    tasks: Annotated[Path | None, typer.Option(help="Also play the tasks of this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Probe a Python class as an environment; a verdict for each method. Exit 1 if one fails."""
    from rods.envs.check import check
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
    problems = check(env, found)
    if as_json:
        typer.echo(json.dumps({"environment": env.name, "tasks": len(found), "methods": problems}))
    else:
        width = max(map(len, problems))
        for name, told in problems.items():
            typer.echo(f"{'BAD' if told else 'ok '} {name:{width}}  {'; '.join(told)}".rstrip())
        bad = sum(map(bool, problems.values()))
        played = f", {len(found)} ground truths played" if found else ""
        typer.echo(f"{len(problems) - bad} of {len(problems)} sound{played}")
    if any(problems.values()):
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"rods {__version__}")
        raise typer.Exit()


def _progress() -> Any:
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _funnel(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=lambda kv: -kv[1]))


def _complain(message: str) -> None:
    print(f"rods: {' '.join(message.split())}", file=sys.stderr)


def main() -> None:
    """Entry point: turns every `UserError` into one line and exit code 2."""
    try:
        app()
    except UserError as error:
        _complain(str(error))
        sys.exit(2)
