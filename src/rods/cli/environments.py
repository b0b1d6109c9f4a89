"""Commands on environments and their tasks: score, audit, play, envs check."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rods.cli.options import (
    CategoryOption,
    EnvOption,
    JsonFlag,
    LimitsOption,
    SeedFile,
    counted,
    limits_of,
)
from rods.errors import UserError
from rods.terminal import Bar, complain, say, stdout

if TYPE_CHECKING:
    from rods.envs.base import ApartEnvironment, Environment
    from rods.envs.calls import CallLimits
    from rods.envs.checked import Checked


def score(
    file: Annotated[
        Path,
        typer.Argument(
            help='Lines {"task": id, "turns": [["f(a=1)"], ...]}, BFCL results, or the'
            " episodes.jsonl of rods eval."
        ),
    ],
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    as_json: JsonFlag = False,
) -> None:
    """Score logged episodes, a line for each. A line that is no episode is reported and skipped."""
    from rods.envs.guard import guard
    from rods.evaluation.selection import all_tasks
    from rods.scoring import Scorer

    world, known = all_tasks(env, tasks)
    guarded = guard(world)
    named = {t.id: t for t in known} | {t.label: t for t in known}
    scorer = Scorer(guarded, named, complain=complain)
    rewards, lost = [], 0
    for row in scorer.score(file):
        if row["progress"] is None:
            lost += 1
        else:
            rewards.append(row["progress"])
        if as_json:
            say(json.dumps(row))
        elif row["progress"] is None:
            say(f"{row['task']}: not scored  {row['ending']}: {row['failure']}")
        else:
            turns = " ".join("ok" if t["state"] and t["exec"] else "--" for t in row["turns"])
            say(f"{row['task']}: progress {row['progress']:.3f}  {turns}  {row['ending']}")
    guarded.close()
    if rewards and not as_json:
        complete = sum(reward == 1.0 for reward in rewards)
        mean = sum(rewards) / len(rewards)
        say(f"{len(rewards)} episodes: mean progress {mean:.3f}, {complete} complete")
    if lost and not as_json:
        say(f"{lost} episodes are not scored: the environment failed in them")
    if scorer.refusals and not as_json:
        say(f"calls stopped: {counted(scorer.refusals)}")
    if scorer.prose and not as_json:
        say(f"turns with text and no call: {scorer.prose}")
    if scorer.bad:
        raise typer.Exit(2)


def audit(
    category: CategoryOption = None,
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
    notes: Annotated[bool, typer.Option(help="Also findings that leave a task usable.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List tasks with faults, with the evidence. Training leaves out those of bfcl."""
    from rods.audit import audit as audit_task
    from rods.audit import audit_tools
    from rods.envs.bfcl_data import split
    from rods.evaluation.selection import all_tasks
    from rods.synthesis.inputs import of_category

    world, known = all_tasks(env, tasks)
    chosen, sides = of_category(known, category), {} if tasks else split()
    found = [] if tasks else audit_tools()
    with _guarded(world) as guarded:
        found += [f for task in chosen for f in audit_task(task, guarded)]
    shown = [f for f in found if f.faulty or notes or not f.task]
    for f in shown:
        side = sides.get(f.task, "")
        if as_json:
            say(json.dumps({**f._asdict(), "faulty": f.faulty, "side": side}))
        else:
            say(f"{f.task or 'tool'}{f' ({side})' if side else ''}: {f.kind}: {f.evidence}")
    if not as_json:
        faulty = {f.task for f in found if f.faulty}
        out = sum(sides.get(name) != "test" for name in faulty)
        left = "" if tasks else f"; {out} are left out of training and validation"
        say(
            f"{len(faulty)} of {len(chosen)} tasks have faults{left}."
            f" {sum(not f.faulty for f in found)} notes."
        )


def play(
    task: Annotated[str, typer.Argument(help="Id of the task, such as multi_turn_base_3.")],
    env: EnvOption = "bfcl",
    tasks: SeedFile = None,
) -> None:
    """Play a task yourself. Each line is an attempt with calls; an empty line ends the turn."""
    from rods.evaluation.selection import all_tasks
    from rods.play import play as play_task

    world, known = all_tasks(env, tasks)
    found = next((t for t in known if task in (t.label, t.id)), None)
    if found is None:
        raise UserError(f"task {task!r}: no such task; they are named like {known[0].label}")
    with _guarded(world) as guarded:
        lines = (line.decode("utf-8-sig", "replace") for line in sys.stdin.buffer)
        play_task(found, guarded, _prompted(lines), say)


@contextmanager
def _guarded(env: Environment, limits: CallLimits | None = None) -> Iterator[ApartEnvironment]:
    """The environment with its calls in another process, until the end."""
    from rods.envs.guard import guard

    guarded = guard(env, limits)
    try:
        yield guarded
    finally:
        guarded.close()


def _prompted(lines: Iterator[str]) -> Iterator[str]:
    while True:
        if sys.stdin.isatty():
            print("> ", end="", file=stdout(), flush=True)
        try:
            yield next(lines)
        except StopIteration:
            return


def check(
    spec: Annotated[
        str,
        typer.Argument(
            help="package.module:Class (several by commas), or mcp:FILE; [tools] may follow."
        ),
    ],
    tasks: Annotated[Path | None, typer.Option(help="Also play this file's ground truths.")] = None,
    limits: LimitsOption = "",
    as_json: JsonFlag = False,
) -> None:
    """Check tools of your own as an environment, a line for each. Exit 1 if one fails."""
    from rods.envs.checked import CheckableEnvironment
    from rods.envs.load import load_environment
    from rods.envs.task_file import chosen_spec, read_task_file

    bounds = limits_of(limits)
    env = load_environment(chosen_spec(spec, tasks))
    if not isinstance(env, CheckableEnvironment):
        raise UserError(f"environment {spec!r}: not tools of your own")
    with _guarded(env, bounds) as guarded:
        found = read_task_file(tasks, guarded) if tasks else []
    with Bar("checking", env.check_steps(found)) as bar:
        made = env.check(found, bounds, bar.advance)
    if as_json:
        row = {"environment": env.name, "tasks": len(found), "methods": made.problems}
        known = {"facts": made.facts} if made.facts else {}
        say(json.dumps({**row, "not_tried": made.untried, "notes": made.notes, **known}))
    else:
        _print_checked(made, env.specs.keys(), len(found))
    if any(made.problems.values()):
        raise typer.Exit(1)


def _print_checked(made: Checked, methods: Collection[str], tasks: int) -> None:
    """Print the problems of methods, and then those of classes and of tasks."""
    width = max(map(len, made.problems))
    for name, faults in made.problems.items():
        why = made.untried.get(name, "")
        mark = "BAD" if faults else "-- " if why else "ok "
        told = [*faults, *([f"not tried: {why}"] if why else []), *made.facts.get(name, ())]
        say(f"{mark} {name:{width}}  {'; '.join(told)}".rstrip())
    for note in made.notes:
        say(f"note: {note}")
    bad = {name for name in methods if made.problems.get(name)}
    untried = made.untried.keys() - bad
    passed = len(methods) - len(bad) - len(untried)
    more = f", {len(untried)} not tried" if untried else ""
    played = f", {tasks} ground truths played" if tasks else ""
    say(f"{passed} of {len(methods)} methods pass{more}{played}")
