"""Commands on files of tasks: verify, review, export, profile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rods.cli.options import (
    EnvOption,
    JsonFlag,
    SeedFile,
    SidesOption,
)
from rods.errors import UserError
from rods.terminal import Bar, command_line, say


def verify(
    path: Annotated[Path, typer.Argument(help="File of tasks, or a run folder.")],
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    seeds: SidesOption = "train",
    as_json: JsonFlag = False,
) -> None:
    """Run every gate again on the tasks of a file or of a run."""
    from rods.envs.task_file import read_placed
    from rods.synthesis.critique import verify_tasks
    from rods.synthesis.inputs import inputs_of

    inputs = inputs_of(env, tasks, seeds, bare=True)
    found = [task for _, task in read_placed(path, lambda: inputs.env)]
    synthetic = [t for t in found if t.synthetic] if path.is_dir() else found
    outcomes = []
    with Bar("verifying", len(synthetic)) as bar:
        for outcome in verify_tasks(synthetic, inputs, parents=found):
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


def review(
    path: Annotated[Path, typer.Argument(help="JSON lines of tasks.")],
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    accepted: Annotated[
        bool, typer.Option("--accepted", help="Keep only tasks that were accepted.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Let a person accept, reject or change tasks by hand."""
    from rods.files.output import Output
    from rods.files.tasks import read_tasks, write_tasks
    from rods.review import add_entries, judge, read_review, review_path, reviewed_path
    from rods.synthesis.inputs import inputs_of

    found = read_tasks(path)
    if not found:
        raise UserError(f"{path}: no tasks")
    kept, out = review_path(path), reviewed_path(path)
    Output(out).differs(path, kept, tasks)
    inputs, known = inputs_of(env, tasks, bare=True), read_review(kept)
    outcome = judge(found, known, inputs, kept, accepted=accepted)
    added = add_entries(kept, found, known, inputs, command_line())
    write_tasks(out, outcome.kept)
    if as_json:
        say(json.dumps(outcome.counts() | {"added": added, "refused": outcome.refused}))
    else:
        for task_id, gate in outcome.refused.items():
            say(f"{kept}: task {task_id}: the change is refused: {gate}")
        if added:
            say(f"{kept}: {added} tasks to read")
        counts = ", ".join(f"{count} {name}" for name, count in outcome.counts().items())
        say(f"{out}: {counts}")
    if outcome.refused:
        raise typer.Exit(1)


def export(
    form: Annotated[str, typer.Option("--format", help="bfcl, trl, verl, nemo-gym or parquet.")],
    out: Annotated[Path, typer.Option(help="New folder to write.")],
    file: Annotated[
        Path | None, typer.Argument(help="File of tasks, or a run folder; as --tasks.")
    ] = None,
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Write tasks for the official checker, trainers or tables."""
    from rods.export.folder import LEFT_OUT
    from rods.export.folder import export as export_tasks

    named = [path for path in (file, tasks) if path is not None]
    if len(named) != 1:
        raise UserError("rods export: name one file of tasks, as FILE or by --tasks FILE")
    written, left = export_tasks(named[0], form, out, env)
    if as_json:
        missing = [item.task.id for item in left]
        summary = {"tasks": written, "format": form, "out": str(out), "left_out": missing}
        say(json.dumps(summary))
        return
    say(f"{out}: {written} tasks as {form}")
    for item in left:
        say(f"left out: {item.where}: {LEFT_OUT[form]}")


def profile(
    task: Annotated[str, typer.Argument(help="FILE or FILE:ID of tasks, or an official id.")],
    other: Annotated[str | None, typer.Argument(help="A second task, to compare with.")] = None,
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the profiles of tasks, or the distance between two."""
    from rods.profile import distance
    from rods.profile import profile as profile_of
    from rods.synthesis.inputs import inputs_of, named_tasks

    inputs = inputs_of(env, tasks)
    found = named_tasks(task, inputs)
    if other is None:
        for each in found:
            summary = profile_of(each, inputs.env).summary()
            if as_json:
                say(json.dumps({"task": each.label, **summary}))
            else:
                say(f"{each.label}")
                for name, value in summary.items():
                    text = ", ".join(map(str, value)) if isinstance(value, list) else value
                    say(f"  {name}: {text}")
        return
    pair = [*found, *named_tasks(other, inputs)]
    if len(pair) != 2:
        raise UserError(f"{task} and {other}: name one task each, as FILE:ID")
    one, two = (profile_of(each, inputs.env) for each in pair)
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
