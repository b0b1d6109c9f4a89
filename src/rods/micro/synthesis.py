"""Who makes variants in a run: the pipeline that knows the training side, or a model within it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rods.config import Config
from rods.errors import UserError
from rods.extras import MODEL, require
from rods.micro.base_policy import Prepared
from rods.synthesis.jobs import NoSynthesis, Synthesis

JOURNAL = "calls.jsonl"  # every call of the model, in the run's folder


def check_endpoint(config: Config) -> None:
    """Refuse a model's settings that are unusable, before anything is begun.

    Raises:
        UserError: naming the file and the field.
    """
    if config.synthesis.endpoint is not None:
        require(*MODEL)
        from rods.synthesis.llm.config import read_endpoint

        read_endpoint(Path(config.synthesis.endpoint), None, None)


def synthesis_of(
    config: Config, prepared: Prepared, folder: Path, notice: Callable[[str], None]
) -> Synthesis:
    """What `synthesis` in the configuration asks for.

    Args:
        notice: called with one line that a person should see at once.

    Raises:
        UserError: the tools have no synthesis, or the model's endpoint is unusable.
    """
    pipeline, endpoint = prepared.tasks.pipeline, config.synthesis.endpoint
    if endpoint is None:
        return pipeline or NoSynthesis()
    if pipeline is None:
        raise UserError("synthesis.endpoint: these tools have no synthesis; leave it out")
    from rods.synthesis.llm.backend import ModelBackend
    from rods.synthesis.llm.config import read_endpoint

    settings, stages = read_endpoint(Path(endpoint), None, None), config.synthesis.stages
    backend = ModelBackend(settings, stages, journal=folder / JOURNAL, notice=notice)
    return backend.pipeline(pipeline, prepared.env)
