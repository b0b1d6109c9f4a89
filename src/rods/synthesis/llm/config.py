"""Which endpoint is asked, and how."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator

from rods.files.reading import Setting

CALLED = "/chat/completions"  # what is added to the URL
Structured = Literal["auto", "schema", "tags"]


class EndpointConfig(Setting):
    """An OpenAI-compatible chat endpoint. The key is in the environment and nowhere else."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = Field(description="base URL, such as http://127.0.0.1:8000/v1")
    model: str = Field(min_length=1)
    key_env: str = Field("OPENAI_API_KEY", description="NAME of the variable that holds the key")
    temperature: float = Field(1.0, ge=0, description="paper, appendix J")
    top_p: float = Field(0.7, gt=0, le=1, description="paper, appendix J")
    max_tokens: int = Field(1024, ge=1, description="tokens of an answer")
    timeout: float = Field(60.0, gt=0, description="seconds of one request in total")
    retries: int = Field(3, ge=1, description="tries of one request")
    parallel: int = Field(64, ge=1, le=1024, description="requests under way at once")
    structured: Structured = Field("auto", description="how the form of an answer is asked for")
    price_in: float = Field(0.0, ge=0, description="of a million tokens")
    price_out: float = Field(0.0, ge=0, description="of a million tokens")

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
        if base.endswith(CALLED):
            raise ValueError(f"leave out {CALLED}; write it as {base.removesuffix(CALLED)}")
        return base

    @field_validator("key_env")
    @classmethod
    def _a_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", name):
            raise ValueError("the NAME of an environment variable, not the key itself")
        return name
