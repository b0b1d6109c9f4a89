"""The command that makes tasks: synth, on its own or for a run (`--follow`)."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rods.cli.options import (
    CategoryOption,
    EnvOption,
    JsonFlag,
    LimitsOption,
    SeedFile,
    SeedOption,
    SidesOption,
    counted,
    limits_of,
)
from rods.cli.probe import run_probe
from rods.errors import BusyError, UserError
from rods.files.output import Output
from rods.processes import Stopper
from rods.terminal import SELDOM, Bar, command_line, complain, is_terminal, say, stdout

if TYPE_CHECKING:
    from rods.job_result import JobResult
    from rods.synthesis.collector import Collector
    from rods.synthesis.settings import SynthSettings
    from rods.synthesis.worker import WorkerProgress

TO_THE_END = "\x1b[K"  # clears the rest of a terminal's line


def synth(
    count: Annotated[int | None, typer.Option(min=1, help="Tasks to make.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON lines to write; an interrupted file is continued.")
    ] = None,
    follow: Annotated[
        Path | None,
        typer.Option(help="Run folder: vary its boundary tasks with its settings while it trains."),
    ] = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Make tasks from the tools alone, without seed tasks.")
    ] = False,
    start: Annotated[
        Path | None,
        typer.Option(
            help="With --cold: YAML or JSON of a start state, or a list; else new objects."
        ),
    ] = None,
    category: CategoryOption = None,
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    seeds: SidesOption = "train",
    stories: Annotated[bool, typer.Option(help="Word each task as a user with a purpose.")] = True,
    seed: SeedOption = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one for each core.")] = 0,
    backend: Annotated[str, typer.Option(help="program, or llm: a model does the stages.")] = (
        "program"
    ),
    stage: Annotated[
        list[str] | None,
        typer.Option(help="With llm: a stage for it (plan, execute, ground, judge); else all."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="With llm: an OpenAI-compatible endpoint, http://…/v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With llm: name of the model.")] = None,
    endpoint: Annotated[
        Path | None, typer.Option(help="With llm: YAML with the endpoint's settings.")
    ] = None,
    rewrite: Annotated[bool, typer.Option(help="With llm: rewrite all turns together.")] = True,
    verify: Annotated[bool, typer.Option(help="With llm: the model verifies its words.")] = True,
    probe: Annotated[
        bool, typer.Option("--probe", help="Test the model on a few questions; make no tasks.")
    ] = False,
    journal: Annotated[
        Path | None, typer.Option(help="With llm: file of all model calls; else OUT.calls.jsonl.")
    ] = None,
    replay: Annotated[
        bool, typer.Option(help="With llm: read all answers from the journal, call no model.")
    ] = False,
    patience: Annotated[
        int,
        typer.Option(min=0, help="Jobs in a row without a task until it stops; 0: a default."),
    ] = 0,
    limits: LimitsOption = "",
    keep_refused: Annotated[
        bool, typer.Option("--keep-refused", help="Keep refused tasks in OUT.refused.jsonl.")
    ] = False,
    supervised: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make verified variants of tasks, or with --cold new tasks. They go into a file or a run."""
    if follow is not None:
        _follow(follow, supervised=supervised, as_json=as_json)
        return
    from rods.synthesis.settings import SynthSettings, settings_with_model

    _check_cold(cold, start, tasks, category, probe)
    settings = SynthSettings(
        env, tasks, seeds, category, stories, seed,
        keep_refused=keep_refused, limits=limits_of(limits), cold=cold, start=start,
    )  # fmt: skip
    named = (endpoint, url, model, stage, rewrite, verify)
    if probe:
        if out is not None or count is not None:
            raise UserError("--probe: it makes no tasks; leave out --count and --out")
        settings = settings_with_model(settings, *named, journal, replay, complain)
        run_probe(settings, as_json=as_json)
        return
    if count is None or out is None:
        missing = "--count N" if count is None else "--out FILE"
        raise UserError(f"rods synth: name {missing}, or a run with --follow RUN")
    from rods.synthesis.collector import Collector

    output = Output(out, folders=True)
    output.differs(tasks, start, endpoint, journal)
    if keep_refused and output.through:
        raise UserError("--keep-refused: writes a file next to --out, which must be a plain file")
    if backend == "llm":
        kept = journal
        if kept is None and not output.through:
            kept = output.target.with_name(f"{output.target.name}.calls.jsonl")
        settings = settings_with_model(settings, *named, kept, replay, complain)
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
        keep_refused=keep_refused,
        fewer=cold,
        rejected={} if output.through else settings.rejected(output.target),
    )
    with Stopper() as stopper:
        try:
            _make(collector, count, settings, workers or os.cpu_count() or 1)
        except KeyboardInterrupt:
            complain(_interrupted(collector, count, output))
            raise typer.Exit(128 + (stopper.number or signal.SIGINT)) from None
    if collector.short:
        complain(f"{out}: {collector.made} of {count} tasks; {collector.short}")
    if as_json:
        summary = {"tasks": collector.made, "stages": collector.passed, "funnel": collector.funnel}
        summary |= {"stopped": collector.stopped} if collector.stopped else {}
        say(json.dumps(summary | settings.usage()), stderr=output.on_stdout)
        return
    refused = {k: n for k, n in collector.funnel.items() if k not in ("tried", "admitted") and n}
    for line in (
        f"{out}: {collector.made} tasks",
        _stages(collector),
        f"refused: {counted(refused)}",
        *([f"calls stopped: {counted(collector.stopped)}"] if collector.stopped else ()),
    ):
        say(line, stderr=output.on_stdout)


def _check_cold(
    cold: bool, start: Path | None, tasks: Path | None, category: str | None, probe: bool
) -> None:
    """Refuse options that do not go together.

    Raises:
        UserError: naming them.
    """
    if start is not None and not cold:
        raise UserError("--start: goes with --cold")
    given = [o for o, v in (("--tasks", tasks), ("--category", category), ("--probe", probe)) if v]
    if cold and given:
        raise UserError(f"{given[0]}: needs seed tasks, and --cold has none; leave one of them out")


def _make(collector: Collector, count: int, settings: SynthSettings, workers: int) -> None:
    def batches(first: int, left: Callable[[], int]) -> Generator[list[JobResult]]:
        """Built late, so that another command on this output is refused while this one loads."""
        return settings.batches(workers, complain)(first, left)

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
    return f"interrupted{kept}. Continue with: {command_line()}"


def _stages(collector: Collector) -> str:
    """How many attempts passed each stage."""
    stages = [("tried", collector.funnel["tried"]), *collector.passed.items()]
    made = " -> ".join(f"{n} {stage}" for stage, n in [*stages, ("admitted", collector.made)])
    hung = collector.stopped.total()
    return f"{made}; {hung} calls stopped" if hung else made


def _requests(settings: SynthSettings) -> str:
    """Counts of requests to the model; "" without a model."""
    if settings.model is None:
        return ""
    under_way, answered, failed = settings.model.progress
    return f"; model: {under_way} under way, {answered} answered, {failed} failed"


def _follow(folder: Path, *, supervised: bool, as_json: bool) -> None:
    """Do the jobs of a run until it is finished, or until Ctrl-C.

    Raises:
        UserError: see `rods.follow.follow`.
        typer.Exit: with status `BROKEN` if synthesis is given up, `BUSY` if another worker works.
    """
    from rods.follow import follow
    from rods.synthesis.supervisor import BROKEN, BUSY

    live, shown = is_terminal(stdout()), time.monotonic()

    def show(count: WorkerProgress) -> None:
        nonlocal shown
        if supervised or as_json:
            say(json.dumps(count._asdict()))
        elif live:
            print(f"\r{_line(count)}{TO_THE_END}", end="", file=stdout(), flush=True)
        elif time.monotonic() - shown > SELDOM:
            shown = time.monotonic()
            say(_line(count))

    def notice(line: str) -> None:
        if supervised:
            say(json.dumps({"notice": line}))
        else:
            complain(line)

    count = None
    with Stopper() as stopper, suppress(KeyboardInterrupt):
        try:
            count = follow(folder, stopper, show, notice, supervised=supervised)
        except BusyError:
            if supervised:
                raise typer.Exit(BUSY) from None
            raise
    if not (supervised or as_json):
        if live:
            print(file=stdout())
        say(_line(count) if count else "interrupted")
    if count is not None and count.gave_up:
        raise typer.Exit(BROKEN)
    if stopper.number:
        raise typer.Exit(128 + stopper.number)


def _line(count: WorkerProgress) -> str:
    errors = f"; jobs that ended in an error: {count.errors}" if count.errors else ""
    return (
        f"{count.jobs} jobs done, {count.candidates} candidates made; {count.open} jobs open,"
        f" {count.waiting} candidates waiting; it pauses at {count.bound}{errors}"
    )
