"""The settings of an evaluation, and all that decides its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rods import __version__
from rods.envs.guard import guard
from rods.envs.hints import Hinter
from rods.errors import UserError
from rods.evaluation.episodes import Job
from rods.evaluation.folder import Facts
from rods.evaluation.selection import Selection
from rods.extras import installed
from rods.renderers.settings import RendererSettings
from rods.reward import VERSION
from rods.rollout.chat import ChatSampling
from rods.rollout.episode import EpisodeLimits
from rods.rollout.runner import EpisodeRunner

CALLS = 100  # most calls of an action; a turn of the benchmark has up to 34


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings of an evaluation that do not depend on the kind of its agent.

    Attributes:
        runs: plays of each task.
        attempts: most actions with calls at each turn of the user.
        hints: failed calls are shown with a hint.
        seed: of all sampling.
    """

    selection: Selection
    renderer: RendererSettings
    sampling: ChatSampling
    runs: int = 1
    attempts: int = 20
    hints: bool = False
    seed: int = 0

    @property
    def limits(self) -> EpisodeLimits:
        return EpisodeLimits(attempts=self.attempts, calls=CALLS)

    def jobs(self) -> list[Job]:
        """All episodes in the order in which they are begun."""
        return [Job(task, run) for run in range(self.runs) for task in self.selection.tasks]

    def identity(self, agent: Facts) -> Facts:
        """All that decides the numbers of an evaluation.

        Args:
            agent: what identifies the model and how it is written to.
        """
        limits, sampling = self.limits, self.sampling
        return {
            "tasks": self.selection.facts(),
            "runs": self.runs,
            "agent": agent,
            "decoding": {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_tokens,
                "context": sampling.context,
                "seed": self.seed,
            },
            "limits": {
                "attempts": limits.attempts,
                "calls": limits.calls,
                "malformed": limits.malformed,
                "hints": self.hints,
            },
            "versions": {
                "rods": __version__,
                "reward": VERSION,
                "bfcl-eval": None if self.selection.split == "" else installed("bfcl_eval"),
            },
        }

    @contextmanager
    def runner(self) -> Iterator[EpisodeRunner]:
        """Plays episodes; calls run in processes that can be killed."""
        env = guard(self.selection.env)
        try:
            yield EpisodeRunner(env, self.limits, Hinter() if self.hints else None)
        finally:
            env.close()


def job_seed(seed: int, job: Job) -> int:
    """A random seed that depends on the task and the run, and not on the order of the episodes."""
    name = f"rods eval {seed} {job.task.id} {job.run}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:3]) << 6


def digest(text: str | None) -> str | None:
    """The hash of a text, so that it can be compared."""
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """The hash of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
