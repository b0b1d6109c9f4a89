"""Evaluates a model behind a chat endpoint."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rods.endpoint.config import EndpointConfig
from rods.endpoint.fault import Cause, Fault, UnusableError
from rods.endpoint.request import ChatRequest
from rods.errors import UserError
from rods.evaluation.episodes import Job
from rods.evaluation.folder import EvaluationFolder, Facts
from rods.evaluation.play import Evaluator, Failures
from rods.evaluation.settings import EvaluationSettings, digest, job_seed, sha256_of
from rods.renderers.tools import function_schema
from rods.rollout.chat import ChatAgent
from rods.task import ToolSpec

if TYPE_CHECKING:
    from rods.endpoint.client import ChatClient

SERVERS = "the server's"  # chat template
PROBE = ({"role": "user", "content": "What time is it?"},)
PROBE_TOKENS = 16
PROBE_TOOL = function_schema(ToolSpec(name="clock", owner="", description="The present time."))


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
