"""The pipeline with a model in some of its stages, the others by program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rods.envs.base import Environment
from rods.envs.guard import GuardedEnvironment
from rods.errors import UserError, declare_secret, first_problem, tell_log
from rods.files.plain_data import ReadError
from rods.files.reading import parse_yaml, read_text
from rods.made import Spent
from rods.synthesis.llm.endpoint import Endpoint, EndpointConfig, Progress
from rods.synthesis.llm.executor import LlmExecutor
from rods.synthesis.llm.grounder import LlmGrounder
from rods.synthesis.llm.journal import Journal
from rods.synthesis.llm.judge import LlmJudge
from rods.synthesis.llm.planner import LlmPlanner
from rods.synthesis.llm.roles import Model, versions
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.world import SynthesisInputs

STAGES = ("plan", "execute", "ground", "judge")


@dataclass
class ModelOrder:
    """What a model is to do.

    Attributes:
        stages: those that it does.
        rewrite: see `LlmGrounder`.
        journal: where every call is kept.
        replay: take the answers from there and ask nobody.
        notice: called with one line that a person should see at once.
    """

    endpoint: EndpointConfig
    stages: tuple[str, ...] = STAGES
    rewrite: bool = True
    journal: Path | None = None
    replay: bool = False
    notice: Callable[[str], None] = tell_log
    _client: Endpoint | None = field(default=None, repr=False)
    _calls: Journal | None = field(default=None, repr=False)

    def pipeline(self, world: SynthesisInputs, *, stories: bool = True) -> Pipeline:
        """See `with_model`.

        Raises:
            UserError: the journal or the client cannot be used.
        """
        self._calls = Journal(self.journal, self.replay) if self.journal else None
        self._client = Endpoint(self.endpoint, self._calls, self.notice)
        program, env = world.pipeline(stories=stories), GuardedEnvironment(world.env)
        name = self.endpoint.model
        return with_model(self._client, program, env, name, self.stages, self.rewrite)

    @property
    def progress(self) -> Progress:
        """See `Endpoint`."""
        return self._client.progress if self._client else Progress()

    @property
    def trouble(self) -> str:
        """See `Endpoint`."""
        return self._client.trouble if self._client else ""

    def stop(self) -> None:
        """End the questions that are under way; see `Endpoint`. The journal is closed."""
        if self._client is not None:
            self._client.stop()
        if self._calls is not None:
            self._calls.close()

    def settings(self) -> dict[str, Any]:
        """What decides the outcome."""
        endpoint = self.endpoint.model_dump(include={"model", "temperature", "top_p", "max_tokens"})
        return {**endpoint, "stages": list(self.stages), "rewrite": self.rewrite}

    def usage(self) -> dict[str, Any]:
        """Requests by cause, and tokens, seconds and cost by role."""
        if self._client is None:
            return {}
        return {
            "counts": dict(self._client.counts),
            "usage": {role: asdict(u) for role, u in self._client.usage.items()},
        }


def with_model(
    model: Model,
    program: Pipeline,
    env: Environment,
    name: str,
    stages: Sequence[str] = STAGES,
    rewrite: bool = True,
) -> Pipeline:
    """A pipeline with counters of its own whose named stages are done by the model.

    Args:
        program: the pipeline whose other stages are taken.
        env: where the model's calls run; a guarded one, since a model proposes hostile calls too.
        name: the model's, for the lineage.
    """
    pipeline, others = program.apart(critic=program.critic.within(env)), program.program
    if "plan" in stages:
        pipeline.planner = LlmPlanner(model, others.planner)
    if "execute" in stages:
        pipeline.executor = LlmExecutor(model, env, others.executor)
    if "ground" in stages:
        pipeline.grounder = LlmGrounder(model, rewrite)
    if "judge" in stages:
        pipeline.judge = LlmJudge(model)
    pipeline.origin = "llm"
    pipeline.signature = {"model": name, "stages": list(stages), "prompts": dict(versions())}
    return pipeline


def model_pipeline(
    file: Path,
    stages: Sequence[str],
    program: Pipeline,
    env: Environment,
    journal: Path,
    notice: Callable[[str], None] = tell_log,
) -> Pipeline:
    """A run's synthesis with the model that a file names in some stages of a pipeline.

    Args:
        notice: see `Endpoint`.

    Raises:
        UserError: the endpoint's settings or the journal are unusable.
    """
    config = read_endpoint(file, None, None)
    client = Endpoint(config, Journal(journal), notice)
    pipeline = with_model(client, program, GuardedEnvironment(env), config.model, stages)
    pipeline.used = lambda: _spent(client)
    return pipeline


def _spent(client: Endpoint) -> Spent:
    """What a model was used for, answers that the journal remembers among it."""
    used = client.usage.values()
    tokens_in, tokens_out = sum(u.tokens_in for u in used), sum(u.tokens_out for u in used)
    return Spent(tokens_in, tokens_out, sum(u.cost for u in used))


def jobs_at_once(endpoint: EndpointConfig) -> int:
    """More than requests, so that none is missing while other jobs run their gates."""
    return endpoint.parallel + endpoint.parallel // 2


def usable_stages(stages: Sequence[str] | None) -> tuple[str, ...]:
    """The stages in their order; all if none is named.

    Raises:
        UserError: no such stage.
    """
    for stage in stages or ():
        if stage not in STAGES:
            raise UserError(f"--stage {stage}: choose among {', '.join(STAGES)}")
    return tuple(s for s in STAGES if s in (stages or STAGES))


def read_endpoint(path: Path | None, url: str | None, model: str | None) -> EndpointConfig:
    """The endpoint's settings from a YAML file, with the command line's on top.

    Raises:
        UserError: naming the file and the field.
    """
    data: Any = {}
    if path is not None:
        text = read_text(path)
        try:
            data = parse_yaml(text)
        except ReadError as error:
            raise UserError(f"{path}: {error}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: must be a mapping of settings such as url and model")
    data |= {name: value for name, value in (("url", url), ("model", model)) if value}
    for name in ("url", "model"):
        if not data.get(name):
            raise UserError(
                f"--backend llm: name the endpoint's {name}, with --{name} or in a file"
            )
    try:
        config = EndpointConfig.model_validate(data)
        declare_secret(config.key_env)
        return config
    except ValidationError as error:
        raise UserError(f"{path or 'endpoint'}: {first_problem(error)}") from None
