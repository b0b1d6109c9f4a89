"""Reads what the command line says about an agent, or refuses it with the option's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rods.endpoint.config import EndpointConfig, read_endpoint
from rods.errors import UserError, first_problem
from rods.renderers.settings import RendererSettings
from rods.rollout.chat import ChatSampling

CONCURRENCY = 16  # episodes at once
TIMEOUT = 600.0  # seconds of one request: a long prompt on a slow machine
MAX_TOKENS = 1024  # of an action


def endpoint_of(
    named: str, model: str | None, timeout: float | None, concurrency: int | None
) -> EndpointConfig:
    """The endpoint of an evaluation.

    Args:
        named: its URL, or a YAML file with its settings.

    Raises:
        UserError: it is neither, or has no model.
    """
    url = named if "://" in named else None
    if url is None and not Path(named).exists():
        raise UserError(f"--endpoint {named}: no such file; write a server as http://host:port/v1")
    if url and not model:
        raise UserError(f"--endpoint {named}: name the server's model with --model")
    config = read_endpoint(None if url else Path(named), url, model)
    changes: dict[str, Any] = {"timeout": timeout, "parallel": concurrency}
    usual = {"timeout": TIMEOUT, "parallel": CONCURRENCY}
    for name, value in usual.items():
        if changes[name] is None:
            changes[name] = getattr(config, name) if name in config.model_fields_set else value
    return config.model_copy(update=changes)


def sampling_of(
    config: EndpointConfig | None,
    temperature: float | None,
    top_p: float | None,
    max_tokens: int | None,
    context: int | None,
) -> ChatSampling:
    """How actions are generated: by the options, else by the endpoint's file, else by default."""
    if top_p == 0:
        raise UserError("--top-p 0: must be above 0")
    asked = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
    usual = {"temperature": 0.0, "top_p": 1.0, "max_tokens": MAX_TOKENS}
    chosen: dict[str, Any] = {}
    for name, value in asked.items():
        written = config is not None and name in config.model_fields_set
        chosen[name] = value if value is not None else getattr(config, name) if written else None
        chosen[name] = usual[name] if chosen[name] is None else chosen[name]
    return ChatSampling(**chosen, context=context)


def renderer_of(
    dialect: str, tool_docs: str, examples: int, system: str | None, template: Path | None = None
) -> RendererSettings:
    """How tools and messages are written.

    Raises:
        UserError: there is no such dialect or form of documents, or it has no examples.
    """
    if examples and dialect in ("auto", "native"):
        raise UserError(f"--examples {examples}: goes with --dialect prompt or envtuning")
    data = {
        "dialect": dialect,
        "tool_docs": tool_docs,
        "examples": examples,
        "system": system,
        "template": None if template is None else str(template),
    }
    try:
        return RendererSettings.model_validate(data)
    except ValidationError as error:
        raise UserError(f"--{first_problem(error).replace('_', '-', 1)}") from None
