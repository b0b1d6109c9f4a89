"""The benchmark's tasks as the micro policy meets them: same start states, compact words.

Start states, tools, turn structure and, wherever the policy can express them, the ground-truth
calls are the benchmark's own. The user's text is realised anew from templates. What the policy
cannot express is changed in one of two ways, named in the task's `note`: "values shortened" (long
strings are replaced, the tools are the same) or "replanned" (another plan over the same start
state). Scores on these tasks demonstrate the method; they are no BFCL scores.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rods.envs.base import Environment
from rods.envs.bfcl_data import tool_specs
from rods.micro.dialogues import carries
from rods.micro.renderer import MicroRenderer
from rods.policies.tasks import TaskSides, benchmark_sides, critic_of
from rods.reward import gold_trace
from rods.scoring import score
from rods.synthesis import case
from rods.synthesis.augment import base_form
from rods.synthesis.critique import Critic
from rods.synthesis.failures import SynthesisError
from rods.synthesis.meaning.learned import learned_from
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.plan import plan_fresh
from rods.synthesis.program import ProgramStages, program_pipeline
from rods.synthesis.stages import Executed, Plan, PlannedCall
from rods.task import Call, Task, ToolSpec

MAX_TURNS = case.TaskLimits().turns
REPLANS = 40
KEPT, SHORTENED, REPLANNED = "calls kept", "values shortened", "replanned"
NOTICE = (
    "The tasks are the benchmark's worlds, tools and turn structure with compact templated user"
    " text, for a small policy that was trained from scratch. This demonstrates the method; it is"
    " no BFCL score."
)


@dataclass(frozen=True, kw_only=True)
class MicroTasks(TaskSides):
    """Tasks with the renderer that they fit.

    Attributes:
        values: words of the arguments and start states of the user's own tasks.
    """

    renderer: MicroRenderer
    values: frozenset[str] = frozenset()


def save_tasks(folder: Path, tasks: TaskSides) -> None:
    """Write `tasks.jsonl`, a line a task with its side, and the tasks that were left out."""
    with (folder / "tasks.jsonl").open("w", encoding="utf-8") as file:
        for side, found in tasks.sides.items():
            for task in found:
                row = {"side": side, "task": task.model_dump(mode="json")}
                file.write(json.dumps(row) + "\n")
    (folder / "left_out.json").write_text(json.dumps(dict(tasks.left_out)))


def load_tasks(folder: Path, env: Environment, renderer: MicroRenderer) -> MicroTasks:
    """Read what `save_tasks` wrote."""
    made: dict[str, list[Task]] = {"train": [], "validation": [], "test": []}
    with (folder / "tasks.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            made[row["side"]].append(Task.model_validate(row["task"]))
    left_out = json.loads((folder / "left_out.json").read_text())
    return _micro_tasks(made, left_out, env, renderer)


def training_side(env: Environment, renderer: MicroRenderer) -> Pipeline:
    """Synthesis that has learned from the benchmark's own training side, without held-out tasks."""
    sides, _ = benchmark_sides()
    learned = learned_from(sides["train"], env, tool_specs())
    critic = Critic(env, learned=learned)
    return micro_pipeline(env, tool_specs(), sides["train"], critic, renderer)


def micro_pipeline(
    env: Environment,
    tools: Mapping[str, ToolSpec],
    seeds: Sequence[Task],
    critic: Critic,
    renderer: MicroRenderer,
) -> Pipeline:
    """Synthesis from the seed tasks of tasks that the micro policy can express."""

    def fits(task: Task) -> bool:
        return carries(task, env, renderer)

    def visible(text: str) -> str:
        return renderer.tokenizer.decode(renderer.observe(text))

    return program_pipeline(env, tools, seeds, critic, visible, fits)


def _micro_tasks(
    made: dict[str, list[Task]],
    left_out: Mapping[str, str],
    env: Environment,
    renderer: MicroRenderer,
) -> MicroTasks:
    train, validation, test = (tuple(made[side]) for side in ("train", "validation", "test"))

    def pipeline_from(sources: Sequence[Task]) -> Pipeline:
        tools = tool_specs()
        critic = critic_of(env, train, [*validation, *test], learned_from(sources, env, tools))
        return micro_pipeline(env, tools, sources, critic, renderer)

    sides = train, validation, test
    return MicroTasks(*sides, env, left_out, NOTICE, pipeline_from, renderer=renderer)


def realise_benchmark(
    env: Environment, renderer: MicroRenderer, indices: int = 200, seed: int = 0
) -> MicroTasks:
    """The tasks of the first base indices (200: all 800), deterministic by `seed`."""
    sources, left_out = benchmark_sides()
    pipeline = training_side(env, renderer)
    made: dict[str, list[Task]] = {side: [] for side in sources}
    for side, source in ((side, task) for side, tasks in sources.items() for task in tasks):
        name = source.source
        if int(name.rsplit("_", 1)[1]) >= indices:
            continue
        task = _realise(source, pipeline, random.Random(f"{seed} {name}"))
        if task is None:
            left_out[name] = "no realisation fits the policy"
        else:
            made[side].append(task)
    return _micro_tasks(made, left_out, env, renderer)


def _realise(source: Task, pipeline: Pipeline, rng: random.Random) -> Task | None:
    program = pipeline.program
    base, augmented = base_form(source)
    gold = tuple(turn.ground_truth for turn in base.turns)
    steps = tuple(tuple(PlannedCall((c.name,)) for c in calls) for calls in gold)
    plan = Plan(source.category, source.classes, steps, augmented)
    replaced: dict[str, str] = {}
    short = tuple(tuple(_shorten(c, program, rng, replaced) for c in calls) for calls in gold)
    for note, calls in ((KEPT, gold), (SHORTENED, short)):
        task = _worded(source, plan, calls, note, pipeline, rng)
        if task is not None:
            return task
    for attempt in range(REPLANS):
        most = 3 if attempt < REPLANS // 2 else 1  # smaller turns, so that fewer tasks are left out
        sizes = [min(len(calls), most) for calls in gold][: MAX_TURNS - (augmented is not None)]
        split_at = augmented if augmented is not None and augmented < len(sizes) else None
        if augmented is not None and split_at is None:
            split_at = len(sizes) - 1
        fresh = plan_fresh(source.classes, sizes, source.category, program.graph, rng, split_at)
        try:
            task = program.compose(fresh, rng, dict(source.start))
        except SynthesisError:
            continue
        task = task.model_copy(update={"source": source.source, "note": REPLANNED})
        if pipeline.fits(task) and not pipeline.critic.review(task):
            return task
    return None


def _worded(
    source: Task,
    plan: Plan,
    calls: tuple[tuple[Call, ...], ...],
    note: str,
    pipeline: Pipeline,
    rng: random.Random,
) -> Task | None:
    """The source's own calls in new words, if they pass and the policy can express them."""
    draft = source.model_copy(
        update={
            "turns": tuple(
                t.model_copy(update={"ground_truth": c})
                for t, c in zip(base_form(source)[0].turns, calls, strict=True)
            ),
        }
    )
    trace = gold_trace(draft, pipeline.program.env)
    executed = Executed(plan, dict(source.start), calls, trace.responses)
    try:
        task = pipeline.program.word(executed, rng)
    except SynthesisError:
        return None
    task = task.model_copy(update={"source": source.source, "note": note, "origin": "benchmark"})
    return task if pipeline.fits(task) and _sound(task, pipeline.program.env) else None


def _sound(task: Task, env: Environment) -> bool:
    """Whether its ground truth passes. Unlike in a variant, a call may be superfluous."""
    return all(v.passed for v in score(task, env, [t.ground_truth for t in task.turns]))


def _shorten(
    call: Call, program: ProgramStages, rng: random.Random, replaced: dict[str, str]
) -> Call:
    """The call with each long string replaced, the same string always by the same words."""

    def short(value: Any) -> Any:
        if isinstance(value, list):
            return [short(v) for v in value[:4]]
        if isinstance(value, str) and len(value) > 18:
            words = rng.sample(program.bank.words, 3)
            return replaced.setdefault(value, " ".join(words))
        return value

    return Call(name=call.name, arguments={k: short(v) for k, v in call.arguments.items()})
