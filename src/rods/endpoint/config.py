"""The settings of an endpoint, and how they are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, ValidationError, field_validator

from rods.errors import UserError, declare_secret, first_problem
from rods.files.plain_data import ReadError
from rods.files.reading import Setting, parse_yaml, read_text

PATH = "/chat/completions"  # is added to the URL
Structured = Literal["auto", "schema", "tags"]


class EndpointConfig(Setting):
    """An OpenAI-compatible chat endpoint. The key is only in the environment."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = Field(description="base URL, such as http://127.0.0.1:8000/v1")
    model: str = Field(min_length=1, description="the server's name of the model")
    key_env: str = Field("OPENAI_API_KEY", description="NAME of the variable that holds the key")
    temperature: float = Field(1.0, ge=0, description="of the sampling (paper, appendix J)")
    top_p: float = Field(0.7, gt=0, le=1, description="of the sampling (paper, appendix J)")
    max_tokens: int = Field(1024, ge=1, description="tokens of an answer")
    timeout: float = Field(60.0, gt=0, description="seconds of one request in total")
    retries: int = Field(3, ge=1, description="tries of one request")
    parallel: int = Field(64, ge=1, le=1024, description="requests under way at once")
    structured: Structured = Field(
        "auto",
        description="how an answer's form is asked for; auto: schema, or tags if it is refused",
    )
    journal_prompts: bool = Field(False, description="synthesis: the journal holds the prompts")
    price_in: float = Field(0.0, ge=0, description="price of a million tokens of prompts")
    price_out: float = Field(0.0, ge=0, description="price of a million tokens of answers")

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        if any(character.isspace() or not character.isprintable() for character in url):
            raise ValueError("no blanks and line ends in it; write it as http://host:port/v1")
        parts = urlsplit(url)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("no key, user or query in it; a key goes into the environment")
        if parts.scheme not in ("http", "https") or not parts.hostname or (parts.port or 1) < 0:
            raise ValueError("write it as http://host:port/v1")
        base = url.rstrip("/")
        if base.endswith(PATH):
            raise ValueError(f"leave out {PATH}; write it as {base.removesuffix(PATH)}")
        return base

    @field_validator("key_env")
    @classmethod
    def _a_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", name):
            raise ValueError("the NAME of an environment variable, not the key itself")
        return name


def read_endpoint(path: Path | None, url: str | None, model: str | None) -> EndpointConfig:
    """The endpoint's settings from a YAML file, replaced by those of the command line.

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
            where = path or "--backend llm"
            raise UserError(f"{where}: name the endpoint's {name}, with --{name} or in a file")
    try:
        config = EndpointConfig.model_validate(data)
        declare_secret(config.key_env)
        return config
    except ValidationError as error:
        raise UserError(f"{path or 'endpoint'}: {first_problem(error)}") from None
