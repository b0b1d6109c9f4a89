"""The benchmark's tasks as the micro policy meets them: same worlds, compact words.

Start states, tools, turn structure and, wherever the policy can carry them, the ground-truth calls
are the benchmark's own; the user's text is realised anew from templates. What the policy cannot
carry is changed in one of two ways, told in the task's `note`: "values shortened" (long strings
replaced, the same tools) or "replanned" (another plan over the same start state). Scores on these
tasks demonstrate the method; they are no BFCL scores.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rods.audit import benchmark_faults
from rods.envs.base import Environment
from rods.envs.bfcl_data import benchmark_tasks, split, tool_specs
from rods.envs.calls import STOPPED, retried
from rods.micro.renderer import MicroRenderer
from rods.reward import TraceError, gold_trace
from rods.rollout.episode import Action, Episode, EpisodeLimits
from rods.scoring import score
from rods.synthesis import case
from rods.synthesis.augment import base_form
from rods.synthesis.critique import Critic
from rods.synthesis.draft import Executed, Plan, PlannedCall
from rods.synthesis.failures import SynthesisError
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.plan import plan_fresh
from rods.synthesis.program import ProgramStages, program_pipeline
from rods.task import Call, Task

MAX_TOKENS = 352
MAX_CALLS = 5
MAX_TURNS = case.TaskLimits().turns
LIMITS = EpisodeLimits(attempts=MAX_CALLS + 1)
MAX_VALUE_TOKENS = 14
REPLANS = 40
KEPT, SHORTENED, REPLANNED = "calls kept", "values shortened", "replanned"


@dataclass(frozen=True)
class MicroTasks:
    """Tasks by side of the split, and how each came about.

    Attributes:
        left_out: tasks that nobody trains on or is measured on, with the reason.
        pipeline: synthesis that knows the training side; None where there is none.
    """

    train: tuple[Task, ...]
    validation: tuple[Task, ...]
    test: tuple[Task, ...]
    left_out: Mapping[str, str]
    pipeline: Pipeline | None = None

    def counts(self) -> dict[str, dict[str, int]]:
        """Realisations by side."""
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        return {side: dict(Counter(t.note for t in tasks)) for side, tasks in sides.items()}

    def save(self, folder: Path) -> None:
        """Write `tasks.jsonl`, a line a task with its side, and what was left out."""
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        with (folder / "tasks.jsonl").open("w", encoding="utf-8") as file:
            for side, tasks in sides.items():
                for task in tasks:
                    row = {"side": side, "task": task.model_dump(mode="json")}
                    file.write(json.dumps(row) + "\n")
        (folder / "left_out.json").write_text(json.dumps(dict(self.left_out)))


def demonstration(
    task: Task, env: Environment, renderer: MicroRenderer
) -> tuple[list[int], list[bool]]:
    """Tokens of a perfect episode and which of them the agent wrote.

    One call an action: a value that a call needs may stand in the response just before. An episode
    in which a limit stopped a call, or that the environment lost, is played again. Its verdicts are
    not looked at, so the task may be one that no gate has seen.

    Raises:
        TraceError: the environment lost it each time.
    """
    ids, mask, episode = retried(
        lambda: _demonstrated(task, env, renderer),
        lambda made: bool(made[2].failure) or not STOPPED.isdisjoint(made[2].refusals),
    )
    if episode.failure:
        raise TraceError(f"task {task.source or task.id}: {episode.failure}")
    return ids, mask


def _demonstrated(
    task: Task, env: Environment, renderer: MicroRenderer
) -> tuple[list[int], list[bool], Episode]:
    episode = Episode(task, env, gold_trace(task, env), LIMITS)
    ids = renderer.begin(episode.conversation)
    mask = [False] * len(ids)
    for turn in task.turns:
        for calls in [*((call,) for call in turn.ground_truth), ()]:
            said = renderer.write(calls)
            seen = renderer.extend(episode.act(Action(calls=calls)))
            if episode.ending is not None:
                seen = []
            ids += said + seen
            mask += [True] * len(said) + [False] * len(seen)
    return ids, mask, episode


def carries(task: Task, env: Environment, renderer: MicroRenderer) -> bool:
    """Whether the policy can express the calls and hold the episode."""
    tools = env.tools(task)
    for turn in task.turns:
        if len(turn.ground_truth) > MAX_CALLS:
            return False
        for call in turn.ground_truth:
            if any(_too_long(value, renderer) for value in call.arguments.values()):
                return False
        if turn.ground_truth:
            read = renderer.parse(renderer.write(turn.ground_truth), tools)
            if repr(read.calls) != repr(turn.ground_truth):  # 5 and 5.0 must stay apart
                return False
    return len(demonstration(task, env, renderer)[0]) <= MAX_TOKENS


def _too_long(value: Any, renderer: MicroRenderer) -> bool:
    if isinstance(value, list):
        return len(value) > 4 or any(_too_long(v, renderer) for v in value)
    if isinstance(value, dict):
        return True
    return len(renderer.tokenizer.encode(str(value))) > MAX_VALUE_TOKENS


def load_tasks(folder: Path, env: Environment, renderer: MicroRenderer) -> MicroTasks:
    """Read what `MicroTasks.save` wrote."""
    made: dict[str, list[Task]] = {"train": [], "validation": [], "test": []}
    with (folder / "tasks.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            made[row["side"]].append(Task.model_validate(row["task"]))
    left_out = json.loads((folder / "left_out.json").read_text())
    return _micro_tasks(made, left_out, _pipeline(env, renderer))


def _pipeline(env: Environment, renderer: MicroRenderer) -> Pipeline:
    """Synthesis that knows the training side only."""
    sides = split()
    faulty = benchmark_faults()
    training = [t for n, t in benchmark_tasks().items() if sides[n] == "train" and n not in faulty]

    def fits(task: Task) -> bool:
        return carries(task, env, renderer)

    def visible(text: str) -> str:
        return renderer.tokenizer.decode(renderer.observe(text))

    return program_pipeline(env, tool_specs(), training, Critic(env), visible, fits)


def _micro_tasks(
    made: dict[str, list[Task]], left_out: dict[str, str], pipeline: Pipeline
) -> MicroTasks:
    pipeline.critic = Critic(pipeline.program.env, [*made["validation"], *made["test"]])
    train, validation, test = (tuple(made[s]) for s in ("train", "validation", "test"))
    for task in train:
        pipeline.critic.admit(task)
    pipeline.funnel.clear()
    return MicroTasks(train, validation, test, left_out, pipeline)


def realise_benchmark(
    env: Environment, renderer: MicroRenderer, indices: int = 200, seed: int = 0
) -> MicroTasks:
    """The tasks of the first base indices (200: all 800), deterministic by `seed`."""
    sources, sides = benchmark_tasks(), split()
    pipeline = _pipeline(env, renderer)
    made: dict[str, list[Task]] = {"train": [], "validation": [], "test": []}
    left_out = {n: reason for n, reason in benchmark_faults().items() if sides[n] != "test"}
    for name, source in sources.items():
        if name in left_out or int(name.rsplit("_", 1)[1]) >= indices:
            continue
        task = _realise(source, pipeline, random.Random(f"{seed} {name}"))
        if task is None:
            left_out[name] = "no realisation fits the policy"
        else:
            made[sides[name]].append(task)
    return _micro_tasks(made, left_out, pipeline)


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
        most = 3 if attempt < REPLANS // 2 else 1  # smaller, rather than leave a task out
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
    """The source's own calls in new words, if they execute as before and fit."""
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
    """Solvable as it stands; a benchmark's own call may be superfluous, a variant's may not."""
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
