"""What synthesis starts from: an environment, seed tasks, and held-out tasks to keep away from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rods.audit import benchmark_faults
from rods.envs.base import Environment
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, split, tool_specs
from rods.envs.bfcl_twin import accepts_ground_truth
from rods.envs.calls import CallLimits
from rods.envs.guard import guard
from rods.envs.lane import SLOW_STATE, timed_state
from rods.envs.load import load_environment
from rods.envs.task_file import chosen_spec, read_placed, read_task_file
from rods.errors import UserError
from rods.synthesis.case import Gate
from rods.synthesis.cold.few import walks_of_few
from rods.synthesis.critique import Critic
from rods.synthesis.meaning.learned import Learned, learned_from
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.program import program_pipeline
from rods.synthesis.story import PlainVoice, SentenceVoice, themes
from rods.task import Task, ToolSpec, by_category

REFUSED = "official checker refuses it"  # because its two sides share tables, see bfcl_twin
SIDES = {"train": ("train",), "train+validation": ("train", "validation")}


@dataclass(frozen=True)
class SynthesisInputs:
    """An environment and its tasks, by their use in synthesis.

    Attributes:
        seeds: seed tasks without faults, to learn from.
        held_out: tasks that no synthetic task may resemble.
        parents: the seed tasks that are varied.
        tasks: all tasks that a task may name as its parent.
        gates: additional gates for tasks of this environment.
    """

    env: Environment
    tools: Mapping[str, ToolSpec]
    seeds: tuple[Task, ...]
    held_out: tuple[Task, ...]
    parents: tuple[Task, ...]
    tasks: tuple[Task, ...]
    gates: tuple[Gate, ...] = ()

    def critic(self) -> Critic:
        """A critic with all gates that has admitted no task yet."""
        return Critic(self.env, self.held_out, more=self.gates, learned=self.learned)

    @cached_property
    def learned(self) -> Learned:
        """What the seed tasks show about values."""
        return learned_from(self.seeds, self.env, self.tools)

    def slowness(self) -> str:
        """A line about a state that takes long to read, or ""."""
        if not self.parents or isinstance(self.env, BfclEnvironment):
            return ""
        with closing(self.env.open(self.parents[0])) as session:
            _, seconds = timed_state(session)
        if seconds <= SLOW_STATE:
            return ""
        times = 4 * len(self.parents[0].calls) + 8  # of each call and turn, and by the gates
        return (
            f"the state takes {seconds:.1f} s to read; an attempt reads it some {times} times,"
            f" so it takes {seconds * times:.0f} s or more"
        )

    def pipeline(self, *, stories: bool = True, plain: bool = False) -> Pipeline:
        """Synthesis by program from all seed tasks.

        Args:
            stories: whether the user is a person with a purpose.
            plain: compact requests instead of sentences.
        """
        voice = PlainVoice() if plain else SentenceVoice(themes() if stories else ())
        critic, walks = self.critic(), walks_of_few(self)
        return program_pipeline(self.env, self.tools, self.seeds, critic, voice=voice, walks=walks)


def benchmark_inputs(seeds: str = "train") -> SynthesisInputs:
    """BFCL: the training tasks without faults, or also those of validation.

    Raises:
        UserError: there is no such choice of seed tasks.
    """
    if seeds not in SIDES:
        raise UserError(f"--seeds {seeds}: choose one of {', '.join(SIDES)}")
    sides, tasks = split(), benchmark_tasks()
    own = {n for n in tasks if sides[n] in SIDES[seeds]}
    found = tuple(tasks[n] for n in tasks if n in own and n not in benchmark_faults())
    held_out = tuple(tasks[n] for n in tasks if n not in own)
    env = BfclEnvironment()
    known = tuple(tasks.values())
    return SynthesisInputs(env, tool_specs(), found, held_out, found, known, _gates(env))


def own_inputs(spec: str, path: Path, limits: CallLimits | None = None) -> SynthesisInputs:
    """The tasks of a file: all are seed tasks, and none is held out.

    Calls of the user's own tools run in a process that can be killed, because drawn arguments may
    hang a tool.

    Raises:
        UserError: the environment or the tasks are unusable.
    """
    env = load_environment(chosen_spec(spec, path))
    guarded = guard(env, limits)
    tasks = tuple(read_task_file(path, guarded))
    if isinstance(env, BfclEnvironment):
        guarded.close()
        return SynthesisInputs(env, env.specs, tasks, (), tasks, tasks, _gates(env))
    return SynthesisInputs(guarded, env.specs, tasks, (), tasks, tasks)


def _gates(env: Environment) -> tuple[Gate, ...]:
    """The additional gates of an environment."""
    if not isinstance(env, BfclEnvironment):
        return ()
    return (Gate("critique", REFUSED, lambda case: accepts_ground_truth(case.task, env)),)


def inputs_of(
    spec: str,
    path: Path | None,
    seeds: str = "train",
    limits: CallLimits | None = None,
    *,
    bare: bool = False,
) -> SynthesisInputs:
    """The inputs that a command line names.

    Args:
        limits: of calls of the user's own tools.
        bare: whether these may come without seed tasks.

    Raises:
        UserError: there are none by these names.
    """
    if path is not None:
        return own_inputs(spec, path, limits)
    if spec != "bfcl":
        if not bare:
            raise UserError(f"--env {spec}: name its tasks too, with --tasks FILE")
        env = load_environment(spec)
        return SynthesisInputs(guard(env, limits), env.specs, (), (), (), ())
    return benchmark_inputs(seeds)


def named_tasks(name: str, inputs: SynthesisInputs) -> list[Task]:
    """Tasks by FILE, FILE:ID, or the official id of one of the inputs' tasks.

    Raises:
        UserError: there is none by that name.
    """
    for task in inputs.tasks:
        if name in (task.source, task.id):
            return [task]
    file, _, task_id = (name, "", "") if os.path.exists(name) else name.rpartition(":")
    if not file or not os.path.exists(file):
        raise UserError(f"{name}: no such file and no task of that id")
    placed = read_placed(Path(file), lambda: inputs.env)
    found = [task for _, task in placed if task_id in ("", task.id, task.source)]
    if not found:
        raise UserError(f"{file}: holds no task {task_id!r}")
    return found


def of_category(tasks: Iterable[Task], category: str | None) -> tuple[Task, ...]:
    """The tasks of one category, or all.

    Raises:
        UserError: there is no such task; the message names the existing categories.
    """
    if category is None:
        return tuple(tasks)
    found = by_category(tasks)
    if category not in found:
        raise UserError(f"--category {category}: choose one of {', '.join(found)}")
    return tuple(found[category])
