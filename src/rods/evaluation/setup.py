"""What an evaluation is made of: its tasks, its agent, and all that decides its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rods import __version__
from rods.endpoint.config import EndpointConfig
from rods.endpoint.fault import Cause, Fault, UnusableError
from rods.endpoint.request import ChatRequest
from rods.envs.guard import GuardedEnvironment
from rods.envs.hints import Hinter
from rods.errors import UserError
from rods.evaluation.episodes import Job
from rods.evaluation.folder import EvaluationFolder, Facts
from rods.evaluation.play import Evaluator, Failures
from rods.evaluation.selection import Selection
from rods.extras import installed
from rods.renderers.settings import RendererSettings
from rods.renderers.tools import function_schema
from rods.reward import VERSION
from rods.rollout.chat import ChatAgent, ChatSampling
from rods.rollout.episode import EpisodeLimits
from rods.rollout.runner import EpisodeRunner
from rods.task import ToolSpec

if TYPE_CHECKING:
    from rods.endpoint.client import ChatClient

SERVERS = "the server's"  # chat template
PROBE = ({"role": "user", "content": "What time is it?"},)
PROBE_TOKENS = 16
PROBE_TOOL = function_schema(ToolSpec(name="clock", owner="", description="The present time."))


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
        return EpisodeLimits(attempts=self.attempts)

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
        env = GuardedEnvironment(self.selection.env)
        try:
            yield EpisodeRunner(env, self.limits, Hinter() if self.hints else None)
        finally:
            env.close()


@dataclass(frozen=True)
class EndpointEvaluation:
    """An evaluation of a model behind a chat endpoint.

    Attributes:
        weights: the file that the server has loaded, if it is known.
        notice: called with one line that a person should see at once.
    """

    settings: EvaluationSettings
    config: EndpointConfig
    weights: Path | None
    notice: Callable[[str], None]

    def identity(self) -> Facts:
        renderer = self.settings.renderer
        return self.settings.identity(
            {
                "kind": "endpoint",
                "model": self.config.model,
                "weights_sha256": sha256_of(self.weights) if self.weights else None,
                "template": SERVERS,
                "dialect": "native" if renderer.dialect == "auto" else renderer.dialect,
                "tool_docs": renderer.tool_docs,
                "examples": renderer.examples,
                "system_sha256": digest(renderer.system),
            }
        )

    def about(self) -> Facts:
        return {"url": self.config.url, "concurrency": self.config.parallel}

    async def play(self, folder: EvaluationFolder, tick: Callable[[], None]) -> Failures:
        """Play all episodes that are not kept; returns those that the endpoint did not answer.

        Raises:
            UserError: the endpoint is unusable or has failed too often.
        """
        from rods.endpoint.client import ChatClient

        settings, client = self.settings, ChatClient(self.config, notice=self.notice)

        def agent(job: Job) -> ChatAgent:
            drawn = settings.sampling.temperature > 0
            seed = job_seed(settings.seed, job) if drawn else None
            return ChatAgent(client, settings.renderer, settings.sampling._replace(seed=seed))

        with settings.runner() as runner:
            evaluator = Evaluator(runner, folder, settings.jobs(), tick)
            try:
                if evaluator.left():
                    await self._probe(client)
                await evaluator.play_queue(agent, self.config.parallel)
            except UnusableError as error:
                if error.fault.cause is Cause.NO_TOOLS:
                    raise UserError(f"{error}, or use --dialect prompt") from None
                raise
            finally:
                await client.aclose()
        return evaluator.failed

    async def _probe(self, client: ChatClient) -> None:
        """Ask one short question, so that an unusable endpoint is found at once.

        Raises:
            UserError: it is unusable.
        """
        sampling = self.settings.sampling
        native = self.settings.renderer.dialect in ("auto", "native")
        with suppress(Fault):  # if it is no accident, the first episode shows it
            await client.ask(
                ChatRequest(
                    PROBE,
                    (PROBE_TOOL,) if native else (),
                    max_tokens=PROBE_TOKENS,
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    seed=0 if sampling.temperature > 0 else None,
                )
            )


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
