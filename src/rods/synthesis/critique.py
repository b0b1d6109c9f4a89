"""Stage IV, critique: a task that fails a gate is refused, whether a program or a model made it.

Departure from the paper: a judge is optional. The gates, which are code, come first; a model may
judge tasks that passed them, and it can only refuse.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from rods.envs.base import Environment
from rods.errors import NoProcessError, UserError
from rods.profile import Profile, profile
from rods.synthesis.case import Case, Gate, TaskLimits
from rods.synthesis.gates import gates_of
from rods.synthesis.meaning.learned import Learned
from rods.synthesis.near import NearIndex, near, signature
from rods.task import Task

if TYPE_CHECKING:
    from rods.synthesis.inputs import SynthesisInputs


class Question(NamedTuple):
    """A task that was compared with those that exist.

    Attributes:
        fault: the answer; "" if it is like none of them.
    """

    task: Task
    fault: str


class Siblings:
    """The tasks that were admitted before. They depend on the order of admission.

    A task with all calls of an admitted one is its near-copy, also with a single call.

    Attributes:
        asked: a list to which all questions are added, if there is one.
    """

    asked: list[Question] | None = None

    def __init__(self) -> None:
        self._signatures: dict[str, bytes] = {}
        self._by_signature = Counter[bytes]()
        self._index = NearIndex()

    def fault(self, task: Task) -> str:
        """Why a task cannot be added to them, or ""."""
        fault = self._fault(task)
        if self.asked is not None:
            self.asked.append(Question(task, fault))
        return fault

    def _fault(self, task: Task) -> str:
        if task.id in self._signatures:
            return "critique: duplicate"
        known = self._by_signature.get(_with_arguments(task)) or self._index.near(task)
        return "critique: near a sibling" if known else ""

    def add(self, task: Task) -> None:
        if task.id not in self._signatures:
            self._signatures[task.id] = written = _with_arguments(task)
            if written:
                self._by_signature[written] += 1
            self._index.add(task)

    def remove(self, task_id: str) -> None:
        if written := self._signatures.pop(task_id, b""):
            self._by_signature[written] -= 1
            if not self._by_signature[written]:
                del self._by_signature[written]
        self._index.remove(task_id)


def _with_arguments(task: Task) -> bytes:
    """A digest of all calls of a task, empty if none has arguments: there are few such tasks."""
    if not any(call.arguments for call in task.calls):
        return b""
    return blake2b(signature(task).encode(), digest_size=16).digest()


class Critic:
    """Reviews tasks; it knows the held-out tasks and those that exist already.

    Args:
        held_out: tasks that no synthetic task may resemble.
        more: additional gates of this environment, after the common ones.
        learned: what the seed tasks show about values.
    """

    def __init__(
        self,
        env: Environment,
        held_out: Iterable[Task] = (),
        limits: TaskLimits | None = None,
        more: Iterable[Gate] = (),
        learned: Learned | None = None,
    ) -> None:
        self.env, self.limits, self.siblings = env, limits or TaskLimits(), Siblings()
        self._more, self.learned = tuple(more), learned
        self._held_out = NearIndex()
        for task in held_out:
            self._held_out.add(task)
        self._profiles: dict[str, Profile] = {}

    def know(self, profiles: Mapping[str, Profile]) -> None:
        """Use these profiles of parents, by id, which were computed before."""
        self._profiles |= profiles

    def in_environment(self, env: Environment) -> Critic:
        """The same critic, which runs tasks in another environment with the same tools."""
        other = copy.copy(self)
        other.env = env
        return other

    def review(self, task: Task, parent: Task | None = None) -> str:
        """The gate that refuses the task, as "stage: fault", or "" if it passes all.

        Raises:
            NoProcessError: no task can be run at all; this is no fault of the task.
        """
        if fault := self.siblings.fault(task) or self._near(task, parent):
            return fault
        try:
            profile_of_parent = self._profile(parent)
        except NoProcessError:
            raise
        except UserError:
            return "plan: its parent cannot be run"
        case = Case(task, self.env, self.limits, profile_of_parent, self.learned)
        try:
            gates = (*gates_of(task.category), *self._more)
            return next((f"{g.stage}: {g.name}" for g in gates if not g.passes(case)), "")
        except NoProcessError:
            raise
        except UserError:
            return "execute: start state does not load"

    def _near(self, task: Task, parent: Task | None) -> str:
        if self._held_out.near(task):
            return "critique: near a held-out task"
        if parent is not None and near(task, parent):
            return "critique: near its parent"
        return ""

    def admit(self, task: Task) -> None:
        """Add a task to those that exist."""
        self.siblings.add(task)

    def forget(self, task_ids: Iterable[str]) -> None:
        """Remove tasks from those that exist."""
        for task_id in task_ids:
            self.siblings.remove(task_id)

    def _profile(self, parent: Task | None) -> Profile | None:
        if parent is None:
            return None
        if parent.id not in self._profiles:
            self._profiles[parent.id] = profile(parent, self.env)
        return self._profiles[parent.id]


def verify_tasks(
    tasks: Sequence[Task], inputs: SynthesisInputs, parents: Sequence[Task] = ()
) -> Iterator[tuple[str, str]]:
    """Run all gates again: for each task its id and the gate that refuses it, or "".

    Parents are looked for in the given tasks, in `parents` and in the inputs.
    """
    critic = inputs.critic()
    known = {task.id: task for task in (*inputs.tasks, *parents, *tasks)}
    for task in tasks:
        if task.environment != inputs.env.name:
            yield task.id, f"another environment: {task.environment[:80]}"
            continue
        fault = critic.review(task, known.get(task.parent))
        if not fault:
            critic.admit(task)
        yield task.id, fault
