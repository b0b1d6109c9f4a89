"""A pipeline in which a model does some of the stages, and programs do the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rods.endpoint.config import EndpointConfig
from rods.endpoint.ledger import Progress
from rods.envs.base import Environment
from rods.envs.guard import guard
from rods.errors import UserError, log_notice
from rods.job_result import Spent
from rods.synthesis.llm.endpoint import Endpoint
from rods.synthesis.llm.executor import LlmExecutor
from rods.synthesis.llm.grounder import LlmGrounder
from rods.synthesis.llm.journal import Journal
from rods.synthesis.llm.judge import LlmJudge
from rods.synthesis.llm.planner import LlmPlanner
from rods.synthesis.llm.prompts import Model, versions
from rods.synthesis.llm.tool_text import ToolText
from rods.synthesis.llm.word_checks import WordCheck
from rods.synthesis.pipeline import Pipeline

STAGES = ("plan", "execute", "ground", "judge")


@dataclass
class ModelBackend:
    """A model that does stages of synthesis.

    Attributes:
        stages: those that it does.
        rewrite, verify: see `LlmGrounder`.
        journal: the file that every call is recorded in.
        replay: take the answers from the journal and send no request.
        notice: called with one line that a person should see at once.
    """

    config: EndpointConfig
    stages: Sequence[str] = STAGES
    rewrite: bool = True
    verify: bool = True
    journal: Path | None = None
    replay: bool = False
    notice: Callable[[str], None] = log_notice
    _endpoint: Endpoint | None = field(default=None, repr=False)
    _turns: Counter[str] = field(default_factory=Counter, repr=False)

    def pipeline(self, program: Pipeline, env: Environment) -> Pipeline:
        """See `with_model`; the model's calls run behind a guard.

        Raises:
            UserError: the journal or the endpoint cannot be used.
        """
        endpoint, guarded, name = self.endpoint(), guard(env), self.config.model
        words = self.rewrite, self.verify
        pipeline = with_model(endpoint, program, guarded, name, self.stages, *words)
        if isinstance(pipeline.grounder, LlmGrounder):
            self._turns = pipeline.grounder.turns
        pipeline.used = self.spent
        if endpoint.journal is not None:
            pipeline.rewind = endpoint.journal.rewind
        return pipeline

    def endpoint(self) -> Endpoint:
        """A new endpoint, which `progress` and the other reports are about from now on.

        Raises:
            UserError: the journal or the endpoint cannot be used.
        """
        journal = Journal(self.journal, self.replay) if self.journal else None
        self._endpoint = Endpoint(self.config, journal, self.notice)
        return self._endpoint

    @property
    def progress(self) -> Progress:
        """See `Endpoint`."""
        return self._endpoint.progress if self._endpoint else Progress()

    @property
    def trouble(self) -> str:
        """See `Endpoint`."""
        return self._endpoint.trouble if self._endpoint else ""

    def stop(self) -> None:
        """End the questions that are under way, see `Endpoint`, and close the journal."""
        if self._endpoint is not None:
            self._endpoint.stop()
            if self._endpoint.journal is not None:
                self._endpoint.journal.close()

    def settings(self) -> dict[str, Any]:
        """All settings that decide the outcome."""
        config = self.config.model_dump(include={"model", "temperature", "top_p", "max_tokens"})
        words = {"rewrite": self.rewrite, "verify": self.verify}
        return {**config, "stages": list(self.stages), **words}

    def spent(self) -> Spent:
        """What the model was used for so far, including answers taken from the journal."""
        used = list(self._endpoint.usage.values()) if self._endpoint else []
        tokens_in, tokens_out = sum(u.tokens_in for u in used), sum(u.tokens_out for u in used)
        return Spent(tokens_in, tokens_out, sum(u.cost for u in used))

    def seconds(self) -> dict[str, float]:
        """Seconds of a question, by role."""
        used = self._endpoint.usage if self._endpoint else {}
        return {role: usage.seconds / max(1, usage.asked) for role, usage in used.items()}

    def usage(self) -> dict[str, Any]:
        """Requests by cause; tokens, seconds and cost by role; turns by the try that had words."""
        if self._endpoint is None:
            return {}
        return {
            "counts": dict(self._endpoint.counts),
            "usage": {role: asdict(u) for role, u in self._endpoint.usage.items()},
            "turns": dict(sorted(self._turns.items())),
        }


def with_model(
    model: Model,
    program: Pipeline,
    env: Environment,
    name: str,
    stages: Sequence[str] = STAGES,
    rewrite: bool = True,
    verify: bool = True,
) -> Pipeline:
    """A pipeline with its own counters in which the model does the named stages.

    Args:
        program: the pipeline whose other stages are used.
        env: where the model's calls run; a guarded one, since a model also proposes hostile calls.
        name: the model's, for the lineage.
        rewrite, verify: see `LlmGrounder`.
    """
    pipeline, others = (
        program.with_own_counters(critic=program.critic.in_environment(env)),
        program.program,
    )
    text = ToolText(others.graph.tools, others.graph.phrases)
    if "plan" in stages:
        pipeline.planner = LlmPlanner(model, others.planner, text)
    if "execute" in stages:
        pipeline.executor = LlmExecutor(model, env, others.executor, text)
    if "ground" in stages:
        check = WordCheck(others.graph.tools, others.seeds)
        pipeline.grounder = LlmGrounder(model, text, check, rewrite, verify)
    if "judge" in stages:
        pipeline.judge = LlmJudge(model, text)
    pipeline.origin = "llm"
    pipeline.signature = {"model": name, "stages": list(stages), "prompts": dict(versions())}
    return pipeline


def jobs_at_once(config: EndpointConfig) -> int:
    """More jobs than requests, so that all requests are in use while other jobs run their gates."""
    return config.parallel + config.parallel // 2


def usable_stages(stages: Sequence[str] | None) -> tuple[str, ...]:
    """The stages in their order; all if none is named.

    Raises:
        UserError: no such stage.
    """
    for stage in stages or ():
        if stage not in STAGES:
            raise UserError(f"--stage {stage}: choose among {', '.join(STAGES)}")
    return tuple(s for s in STAGES if s in (stages or STAGES))
