"""Commands that make, check and hand on tasks: synth, verify, export, profile."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rods.cli import following
from rods.cli.common import (
    CategoryOption,
    EnvOption,
    JsonFlag,
    SeedFile,
    SeedOption,
    SidesOption,
    counted,
)
from rods.errors import UserError
from rods.output import Output
from rods.stopper import Stopper
from rods.terminal import Bar, command_line, complain, say

if TYPE_CHECKING:
    from rods.job_result import JobResult
    from rods.synthesis.collector import Collector
    from rods.synthesis.settings import SynthSettings


def synth(
    count: Annotated[int | None, typer.Option(min=1, help="Tasks to make.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON lines to write; goes on if interrupted.")
    ] = None,
    follow: Annotated[
        Path | None,
        typer.Option(help="A run's folder: vary its boundary tasks while it trains, as it says."),
    ] = None,
    category: CategoryOption = None,
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    seeds: SidesOption = "train",
    stories: Annotated[bool, typer.Option(help="Let a person with a purpose speak.")] = True,
    seed: SeedOption = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 for one a core.")] = 0,
    backend: Annotated[str, typer.Option(help="program, or llm: a model does the stages.")] = (
        "program"
    ),
    stage: Annotated[
        list[str] | None,
        typer.Option(help="With llm: only this stage by the model (plan, execute, ground, judge)."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="With llm: an OpenAI-compatible endpoint, http://…/v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With llm: the model's name there.")] = None,
    endpoint: Annotated[
        Path | None, typer.Option(help="With llm: YAML with the endpoint's settings.")
    ] = None,
    rewrite: Annotated[bool, typer.Option(help="With llm: the holistic rewrite.")] = True,
    journal: Annotated[
        Path | None, typer.Option(help="With llm: log of all calls; default OUT.calls.jsonl.")
    ] = None,
    replay: Annotated[
        bool, typer.Option(help="With llm: take answers from the journal, ask nobody.")
    ] = False,
    patience: Annotated[
        int, typer.Option(min=0, help="Jobs without a task until it gives up; 0: a default.")
    ] = 0,
    supervised: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make verified variants of seeds: the offline pipeline, or a worker beside a run."""
    if follow is not None:
        following.run(follow, supervised=supervised, as_json=as_json)
        return
    if count is None or out is None:
        missing = "--count N" if count is None else "--out FILE"
        raise UserError(f"rods synth: name {missing}, or a run with --follow RUN")
    from rods.synthesis.collector import Collector
    from rods.synthesis.settings import SynthSettings, settings_with_model

    settings = SynthSettings(env, tasks, seeds, category, stories, seed)
    output = Output(out, folders=True)
    output.differs(tasks, endpoint, journal)
    if backend == "llm":
        kept = journal
        if kept is None and not output.through:
            kept = output.target.with_name(f"{output.target.name}.calls.jsonl")
        settings = settings_with_model(
            settings, endpoint, url, model, stage, rewrite, kept, replay, complain
        )
    elif backend != "program":
        raise UserError(f"--backend {backend}: choose one of program, llm")
    elif given := [o for o, v in (("--url", url), ("--model", model), ("--stage", stage)) if v]:
        raise UserError(f"{given[0]}: goes with --backend llm")
    collector = Collector(
        out,
        settings.recorded(),
        patience=patience or settings.patience,
        trouble=settings.trouble,
        notice=complain,
    )
    with Stopper() as stopper:
        try:
            _make(collector, count, settings, workers or os.cpu_count() or 1)
        except KeyboardInterrupt:
            complain(_interrupted(collector, count, output))
            raise typer.Exit(128 + (stopper.number or signal.SIGINT)) from None
    if as_json:
        summary = {"tasks": collector.made, "stages": collector.passed, "funnel": collector.funnel}
        say(json.dumps(summary | settings.usage()), stderr=output.on_stdout)
        return
    refused = {k: n for k, n in collector.funnel.items() if k not in ("tried", "admitted") and n}
    for line in (
        f"{out}: {collector.made} tasks",
        _stages(collector),
        f"refused: {counted(refused)}",
    ):
        say(line, stderr=output.on_stdout)


def _make(collector: Collector, count: int, settings: SynthSettings, workers: int) -> None:
    def batches(first: int, left: Callable[[], int]) -> Generator[list[JobResult]]:
        """Made late, so that another command on this output is refused while this one loads."""
        return settings.batches(workers)(first, left)

    with (
        Bar("synthesis", count, lambda: _stages(collector) + _requests(settings)) as bar,
        closing(collector.run(count, batches)) as tasks,
    ):
        for made in tasks:
            bar.update(made)


def _interrupted(collector: Collector, count: int, output: Output) -> str:
    if output.through:
        return "interrupted; nothing was written"
    kept = f"; {collector.made} of {count} tasks are kept" if collector.made else ""
    return f"interrupted{kept}. Go on with: {command_line()}"


def _stages(collector: Collector) -> str:
    """How many attempts got how far."""
    stages = [("tried", collector.funnel["tried"]), *collector.passed.items()]
    return " -> ".join(f"{n} {stage}" for stage, n in [*stages, ("admitted", collector.made)])


def _requests(settings: SynthSettings) -> str:
    """How far the questions to a model are; "" if there is none."""
    if settings.model is None:
        return ""
    under_way, answered, failed = settings.model.progress
    return f"; model: {under_way} under way, {answered} answered, {failed} failed"


def verify(
    path: Annotated[Path, typer.Argument(help="JSON lines of tasks, or a run folder.")],
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    seeds: SidesOption = "train",
    as_json: JsonFlag = False,
) -> None:
    """Run every gate again on tasks from a file or on a run's synthetic tasks."""
    from rods.files import read_tasks
    from rods.synthesis.critique import verify_tasks
    from rods.synthesis.inputs import inputs_of

    found = read_tasks(path)
    if not found:
        raise UserError(f"{path}: no tasks")
    synthetic = [t for t in found if t.synthetic] if path.is_dir() else found
    outcomes = []
    with Bar("verifying", len(synthetic)) as bar:
        for outcome in verify_tasks(synthetic, inputs_of(env, tasks, seeds), parents=found):
            outcomes.append(outcome)
            bar.advance()
    faulty = [(task_id, gate) for task_id, gate in outcomes if gate]
    if as_json:
        say(json.dumps({"tasks": len(outcomes), "refused": dict(faulty)}))
    else:
        for task_id, gate in faulty:
            say(f"{task_id}: {gate}")
        say(f"{len(outcomes) - len(faulty)} of {len(outcomes)} tasks pass every gate")
    if faulty:
        raise typer.Exit(1)


def export(
    file: Annotated[Path, typer.Argument(help="JSON lines of tasks, or a run folder.")],
    form: Annotated[str, typer.Option("--format", help="bfcl, trl, verl or parquet.")],
    out: Annotated[Path, typer.Option(help="New folder.")],
    env: EnvOption = "bfcl",
    as_json: JsonFlag = False,
) -> None:
    """Tasks as files for the benchmark's checker, for trainers, or as a table."""
    from rods.export.folder import export as export_tasks

    tasks, left = export_tasks(file, form, out, env)
    if as_json:
        missing = [item.task.id for item in left]
        summary = {"tasks": tasks, "format": form, "out": str(out), "left_out": missing}
        say(json.dumps(summary))
        return
    say(f"{out}: {tasks} tasks as {form}")
    for item in left:
        say(f"left out: {item.where}: the official checker refuses its ground truth")


def profile(
    task: Annotated[str, typer.Argument(help="FILE or FILE:ID of tasks, or an official id.")],
    other: Annotated[str | None, typer.Argument(help="A second one, to be compared.")] = None,
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    as_json: JsonFlag = False,
) -> None:
    """The complexity profile of tasks, or how far two are from each other."""
    from rods.profile import distance
    from rods.profile import profile as profile_of
    from rods.synthesis.inputs import inputs_of, named_tasks

    world = inputs_of(env, tasks)
    found = named_tasks(task, world)
    if other is None:
        for each in found:
            summary = profile_of(each, world.env).summary()
            if as_json:
                say(json.dumps({"task": each.source or each.id, **summary}))
            else:
                say(f"{each.source or each.id}")
                for name, value in summary.items():
                    text = ", ".join(map(str, value)) if isinstance(value, list) else value
                    say(f"  {name}: {text}")
        return
    pair = [*found, *named_tasks(other, world)]
    if len(pair) != 2:
        raise UserError(f"{task} and {other}: name one task each, as FILE:ID")
    one, two = (profile_of(each, world.env) for each in pair)
    far = distance(one, two)
    if as_json:
        summary = {"distance": round(far, 4), "one": one.summary(), "two": two.summary()}
        say(json.dumps(summary))
        return
    for name, value in one.summary().items():
        theirs = two.summary()[name]
        mark = "  " if value == theirs else "! "
        say(f"{mark}{name}: {value} | {theirs}")
    say(f"distance {far:.3f}")
