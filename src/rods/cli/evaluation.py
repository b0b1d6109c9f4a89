"""The command that evaluates a model, shows its episodes, and compares two evaluations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from rods.cli.options import EnvOption, JsonFlag, SeedFile, SeedOption
from rods.errors import UserError
from rods.files.output import Output
from rods.processes import Stopper
from rods.terminal import Screen, command_line, complain, say

if TYPE_CHECKING:
    from rods.evaluation.endpoint import EndpointEvaluation
    from rods.evaluation.model import ModelEvaluation

T = TypeVar("T")


def eval(
    endpoint: Annotated[
        str | None,
        typer.Option(help="OpenAI-compatible server: http://…/v1, or a YAML file with settings."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Folder or hub name; with --endpoint the server's name of the model."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Side of bfcl: test (default), train or all.")
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="Only this category; repeatable.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="A sample of this many tasks, all categories mixed.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Plays of each task.")] = 1,
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; an interrupted evaluation in it is continued.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Episodes at once; default 16.")
    ] = None,
    dialect: Annotated[
        str,
        typer.Option(help="How tools are shown: auto, native, prompt (in the text), envtuning."),
    ] = "auto",
    tool_docs: Annotated[str, typer.Option(help="Documents of tools: full or short.")] = "full",
    examples: Annotated[
        int, typer.Option(min=0, max=3, help="Worked examples in the prompt, not with native.")
    ] = 0,
    template: Annotated[
        Path | None, typer.Option(help="With a model in this process: its chat template.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="System message; default: none.")] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, help="Of the sampling; default 0: no sampling.")
    ] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1, help="Default 1.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Most tokens of an action; default 1024.")
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(min=1, help="Most tokens of a request with its answer; else the model's."),
    ] = None,
    seed: SeedOption = 0,
    attempts: Annotated[
        int, typer.Option(min=1, help="Most actions with calls at a turn; bfcl-eval has 20.")
    ] = 20,
    hints: Annotated[bool, typer.Option(help="Show failed calls with a hint.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds of one request; default 600.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File that the server has loaded; its hash is stored.")
    ] = None,
    show: Annotated[
        Path | None, typer.Option(help="Print the episodes of this folder or file instead.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="With --show: the whole conversations of this task.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Print the differences of two folders, by task, instead."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="With --compare: write an HTML page of both's episodes.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate a model on tasks. The same command continues the evaluation."""
    if show is not None:
        _show(show, task, as_json=as_json)
        return
    if compare is not None:
        _compare(*compare, page, as_json=as_json)
        return
    if out is None:
        raise UserError("rods eval: name the folder of the results with --out DIR")
    if endpoint is None and model is None:
        raise UserError("rods eval: name a server with --endpoint, or a model with --model")
    from rods.evaluation.options import CONCURRENCY, endpoint_of, renderer_of, sampling_of
    from rods.evaluation.selection import select
    from rods.evaluation.settings import EvaluationSettings

    config = endpoint_of(endpoint, model, timeout, concurrency) if endpoint else None
    settings = EvaluationSettings(
        select(env, tasks, split, category or (), limit),
        renderer_of(dialect, tool_docs, examples, system, template),
        sampling_of(config, temperature, top_p, max_tokens, context),
        runs,
        attempts,
        hints,
        seed,
    )
    if config is not None:
        if template is not None:
            raise UserError(
                f"--template {template}: the server has its own; start it with this one"
            )
        from rods.evaluation.endpoint import EndpointEvaluation

        _play(EndpointEvaluation(settings, config, weights, complain), out, as_json=as_json)
        return
    for option, value in (("--weights", weights), ("--timeout", timeout), ("--top-p", top_p)):
        if value is not None:
            raise UserError(f"{option} {value}: goes with --endpoint")
    assert model is not None
    from rods.evaluation.model import ModelEvaluation

    _play(ModelEvaluation(settings, model, concurrency or CONCURRENCY), out, as_json=as_json)


def _play(evaluation: EndpointEvaluation | ModelEvaluation, out: Path, *, as_json: bool) -> None:
    """Play what is left, and print the table of all that is kept."""
    from rods.evaluation.folder import EvaluationFolder
    from rods.evaluation.progress import Progress
    from rods.evaluation.table import summarise

    total, identity, trouble = len(evaluation.settings.jobs()), evaluation.identity(), ""
    with (
        Stopper() as stopper,
        closing(EvaluationFolder(out, identity, evaluation.about())) as folder,
    ):
        try:
            with Progress(folder, total) as progress:
                failed = asyncio.run(_quiet(evaluation.play(folder, progress.tick)))
            if failed:
                (task, _), first = next(iter(failed.items()))
                trouble = f"{len(failed)} episodes were not answered; the first, {task}: {first}"
        except KeyboardInterrupt:
            trouble = "interrupted"
            folder.reread()
        except UserError as error:
            trouble = str(error)
        if folder.rows:
            summary = summarise(folder.rows, identity["tasks"]["categories"], total)
            folder.finish(summary)
            _print(summary, identity, out, as_json=as_json)
        kept = f"; {len(folder.rows)} of {total} episodes are kept. Continue with: {command_line()}"
        if trouble:
            complain(trouble + (kept if folder.rows else ""))
            raise typer.Exit(128 + stopper.number if stopper.number else 2)
        agent = identity["agent"]
        if not any(row.calls for row in folder.rows):
            native = agent["kind"] == "endpoint" and agent["dialect"] == "native"
            way = "; if the server ignores them, write them into the prompt with --dialect prompt"
            complain(f"no episode has a call although tools are offered{way if native else ''}")


async def _quiet(play: Coroutine[Any, Any, T]) -> T:
    """Without a traceback for each episode that an interrupt ended; one line says it."""

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), KeyboardInterrupt):
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(report)
    return await play


def _print(summary: dict[str, Any], identity: dict[str, Any], out: Path, *, as_json: bool) -> None:
    from rods.evaluation.text import notes, results_table

    if as_json:
        say(json.dumps({"out": str(out), **summary, "identity": identity}))
        return
    screen = Screen()
    screen.show(results_table(summary))
    for line in notes(summary, identity):
        screen.say(line)
    screen.say(f"Episodes: {out} (rods eval --show {out})")


def _show(path: Path, task: str | None, *, as_json: bool) -> None:
    """Print the episodes of a folder or a file, or the conversations of one task."""
    from rods.evaluation.episodes import read_rows
    from rods.evaluation.folder import EPISODES
    from rods.evaluation.text import episode_line, transcript

    file = path / EPISODES if path.is_dir() else path
    rows = sorted(read_rows(file, messages=task is not None or as_json), key=lambda row: row.key)
    if task is not None and not (rows := [row for row in rows if task in (row.task, row.id)]):
        raise UserError(f"{file}: holds no episode of a task {task!r}")
    for row in rows:
        if as_json:
            say(row.line())
        elif task is None:
            say(episode_line(row))
        else:
            for line in transcript(row):
                say(line)


def _compare(one: Path, two: Path, page: Path | None, *, as_json: bool) -> None:
    """Print the differences between two evaluations, and write their page."""
    from rods.evaluation.compare import compare
    from rods.evaluation.folder import read_evaluation
    from rods.evaluation.page import render
    from rods.evaluation.text import comparison_notes, comparison_table

    output = Output(page) if page else None
    pair = [read_evaluation(folder, messages=page is not None) for folder in (one, two)]
    found = compare(*pair)
    if output:
        output.write(render(found, *pair))
    stderr = output is not None and output.on_stdout
    if as_json:
        say(json.dumps(found), stderr=stderr)
        return
    screen = Screen(stderr=stderr)
    screen.show(comparison_table(found))
    for line in comparison_notes(found):
        screen.say(line)
    if page:
        screen.say(f"Page: {page}")
