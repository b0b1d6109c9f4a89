"""The tasks of a run, by side of the split, and the synthesis that varies them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rods.audit import benchmark_faults
from rods.config import Config
from rods.envs.base import ApartEnvironment, Environment
from rods.envs.bfcl_data import benchmark_tasks, split
from rods.envs.guard import guard
from rods.envs.load import load_environment
from rods.envs.task_file import chosen_spec, read_task_file
from rods.errors import UserError
from rods.extras import MODEL, require
from rods.synthesis.critique import Critic
from rods.synthesis.jobs import Synthesis
from rods.synthesis.meaning.learned import Learned
from rods.synthesis.pipeline import Pipeline
from rods.task import STRUCTURE, Task, by_category

JOURNAL = "calls.jsonl"  # every call of the model, in the run's folder
STRUCTURE_TRIES = 50  # for each task that is wanted
PERIOD = 6  # of the user's own tasks, from one that validates, or tests, to the next


@dataclass(frozen=True)
class TaskSides:
    """Tasks by side of the split.

    Attributes:
        environment: the tools of all tasks. Their calls run in this process.
        left_out: names of tasks that are not used for training or measurement, with the reason.
        notice: what a reader must know about the run's numbers, or "".
        pipeline_from: returns synthesis that learns structure, start states and values from the
            training tasks that it is given; None: the arm must be `static`.
        structure: held-out tasks with combinations of tools that no training task has.
    """

    train: tuple[Task, ...]
    validation: tuple[Task, ...]
    test: tuple[Task, ...]
    environment: Environment
    left_out: Mapping[str, str]
    notice: str = ""
    pipeline_from: Callable[[Sequence[Task]], Pipeline] | None = None
    structure: tuple[Task, ...] = ()

    @property
    def sides(self) -> dict[str, tuple[Task, ...]]:
        """Tasks by the name of their side."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return found | ({STRUCTURE: self.structure} if self.structure else {})

    def counts(self) -> dict[str, dict[str, int]]:
        """By side: how many tasks have each `note`, which says how a task was realised."""
        return {side: dict(Counter(t.note for t in tasks)) for side, tasks in self.sides.items()}


class OwnTasks(NamedTuple):
    """Tasks of a file.

    Attributes:
        path: the tasks' file.
        guarded: the environment with calls in other processes, because drawn arguments may hang a
            class.
    """

    path: Path
    environment: Environment
    guarded: ApartEnvironment
    tasks: list[Task]


@contextmanager
def own_tasks(config: Config) -> Iterator[OwnTasks]:
    """The tasks of `environment.tasks` over the tools of `environment.name`.

    Raises:
        UserError: the tools or the tasks are unusable, or no task has a stage's category.
    """
    settings = config.environment
    assert settings.tasks is not None
    path = Path(settings.tasks)
    env = load_environment(chosen_spec(settings.name, path), settings.bounds)
    guarded = guard(env, settings.limits, settings.bounds)
    try:
        tasks = read_task_file(path, guarded)
        config.check_categories(task.category for task in tasks)
        yield OwnTasks(path, env, guarded, tasks)
    finally:
        guarded.close()


def split_own(own: OwnTasks, tasks: Sequence[Task], what: str) -> dict[str, tuple[Task, ...]]:
    """The usable ones of the user's own tasks by side: of each six, in the file's order, the third
    validates and the sixth tests.

    Args:
        what: what the usable tasks fit, for the message.

    Raises:
        UserError: fewer than six are usable.
    """
    if len(tasks) < PERIOD:
        fit = f"{len(tasks)} of {len(own.tasks)} tasks fit {what}"
        raise UserError(f"{own.path}: {fit}; {PERIOD} are needed")
    train = tuple(task for i, task in enumerate(tasks) if i % PERIOD not in (2, 5))
    return {"train": train, "validation": (*tasks[2::PERIOD],), "test": (*tasks[5::PERIOD],)}


def benchmark_sides() -> tuple[dict[str, list[Task]], dict[str, str]]:
    """The benchmark's tasks by side, and those that are left out with the reason.

    Faulty tasks are left out of training and validation.
    """
    sides, faults = split(), benchmark_faults()
    left_out = {name: why for name, why in faults.items() if sides[name] != "test"}
    found: dict[str, list[Task]] = {"train": [], "validation": [], "test": []}
    for name, task in benchmark_tasks().items():
        if name not in left_out:
            found[sides[name]].append(task)
    return found, left_out


def critic_of(
    env: Environment, train: Iterable[Task], held_out: Iterable[Task], learned: Learned | None
) -> Critic:
    """The gates of a run: no variant may resemble a held-out task, or equal a training task."""
    critic = Critic(env, held_out, learned=learned)
    for task in train:
        critic.admit(task)
    return critic


def choose_seeds(tasks: Sequence[Task], config: Config) -> list[Task]:
    """The run's seed tasks: equally many of each category, drawn by the run's random seed.

    All tasks where they are those of a file.

    Raises:
        UserError: `pool.seeds` is below the number of categories or above the tasks there are.
    """
    if config.environment.tasks is not None:
        return list(tasks)
    rng = random.Random(f"seeds {config.seed}")
    groups = list(by_category(tasks).values())
    each, most = config.pool.seeds // max(1, len(groups)), min(map(len, groups), default=0)
    if not 1 <= each <= most:
        bounds = f"at least {len(groups)} and at most {most * len(groups)}"
        raise UserError(f"pool.seeds: {bounds}, as many of each category")
    return [task for found in groups for task in rng.sample(found, each)]


def with_spare(config: Config, tasks: TaskSides) -> TaskSides:
    """The tasks with the training tasks that are no seed tasks on the validation side too.

    Raises:
        UserError: see `choose_seeds`.
    """
    used = {task.id for task in choose_seeds(tasks.train, config)}
    spare = [task for task in tasks.train if task.id not in used]
    return replace(tasks, validation=(*tasks.validation, *spare))


def with_structure(config: Config, tasks: TaskSides) -> TaskSides:
    """The tasks with `evaluation.structure` more held-out tasks, the same in all runs.

    They are made by program of the test tasks' start states and values. Each has a turn of several
    calls whose combination of tools no turn of a training task has; equally many of each category.

    Raises:
        UserError: these tools have no synthesis, or it makes too few such tasks.
    """
    if tasks.pipeline_from is None:
        raise UserError("evaluation.structure: these tools have no synthesis to make the tasks")
    known = {combination for task in tasks.train for combination in _combinations(task)}
    pipeline, rng = tasks.pipeline_from(tasks.test), random.Random("structure")
    names = list(by_category(tasks.test))
    each = -(-config.evaluation.structure // len(names))
    made: dict[str, list[Task]] = {name: [] for name in names}
    for _ in range(STRUCTURE_TRIES * config.evaluation.structure):
        if all(len(found) == each for found in made.values()):
            break
        task = pipeline.fresh(rng, 0)
        if len(made[task.category]) < each and not known.issuperset(_combinations(task)):
            pipeline.learn(task)
            made[task.category].append(task)
    else:
        raise UserError("evaluation.structure: too few tasks with new combinations can be made")
    return replace(tasks, structure=tuple(task for found in made.values() for task in found))


def _combinations(task: Task) -> set[frozenset[str]]:
    """The tools of each turn that has several."""
    tools = (frozenset(call.name for call in turn.ground_truth) for turn in task.turns)
    return {found for found in tools if len(found) > 1}


def check_endpoint(config: Config) -> None:
    """Refuse unusable settings of a model for synthesis before a run begins.

    Raises:
        UserError: naming the file and the field.
    """
    if config.synthesis.endpoint is not None:
        require(*MODEL)
        from rods.endpoint.config import read_endpoint

        read_endpoint(Path(config.synthesis.endpoint), None, None)


def check_synthesis(config: Config, tasks: TaskSides) -> None:
    """Refuse tools without synthesis in an arm that makes tasks.

    Raises:
        UserError: naming the arm.
    """
    if (config.arm != "static" or config.pool.offline) and tasks.pipeline_from is None:
        raise UserError(f"--arm {config.arm}: these tools have no synthesis; use --arm static")


def pipeline_of(config: Config, tasks: TaskSides) -> Pipeline:
    """Synthesis by program that has learned from the tasks that `synthesis.sources` names.

    Raises:
        UserError: these tools have no synthesis.
    """
    check_synthesis(config, tasks)
    assert tasks.pipeline_from is not None
    settings = config.synthesis
    own = settings.sources == "seeds"
    made = tasks.pipeline_from(choose_seeds(tasks.train, config) if own else tasks.train)
    made.replan, made.feedback = settings.replan, settings.feedback
    return made


def synthesis_of(
    config: Config, tasks: TaskSides, folder: Path, notice: Callable[[str], None]
) -> Synthesis:
    """What `synthesis` in the configuration asks for: `pipeline_of`, or a model within it.

    Args:
        notice: called with one line that a person should see at once.

    Raises:
        UserError: the tools have no synthesis, or the model's endpoint is unusable.
    """
    pipeline, endpoint = pipeline_of(config, tasks), config.synthesis.endpoint
    if endpoint is None:
        return pipeline
    from rods.endpoint.config import read_endpoint
    from rods.synthesis.llm.backend import ModelBackend

    settings, stages = read_endpoint(Path(endpoint), None, None), config.synthesis.stages
    backend = ModelBackend(settings, stages, journal=folder / JOURNAL, notice=notice)
    return backend.pipeline(pipeline, tasks.environment)
