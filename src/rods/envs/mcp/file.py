"""The form of the file behind `--env mcp:FILE`."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rods.files.reading import Setting

NAME = re.compile(r"[A-Za-z_][\w-]{0,39}")
RESETS = ("process", "folder", "session")
MARK = re.compile(r"[A-Za-z][\w ]{0,29}")


class Entry(BaseModel):
    """A server as other MCP clients know it; fields of theirs that are not used here are ignored.

    Attributes:
        factory: `package.module:function` that returns a FastMCP server in this process.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    factory: str | None = None
    type: str | None = None
    disabled: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Entry:
        ways = [n for n in ("command", "url", "factory") if getattr(self, n) is not None]
        if len(ways) != 1:
            raise ValueError("name one of command, url, factory")
        if self.type == "sse":
            raise ValueError(
                "type: sse is not supported; use the server's streamable HTTP or stdio"
            )
        if self.url is not None and not self.url.startswith(("http://", "https://", "${")):
            raise ValueError("url: must begin with http:// or https://")
        return self


class StateSettings(Setting):
    """Where a server's state is read. All parts together are the state."""

    files: tuple[str, ...] = Field((), description="globs in the session's folder")
    ignore: tuple[str, ...] = Field((), description="globs in it that are no part of the state")
    calls: tuple[str, ...] = Field((), description="calls that change nothing, such as list_all()")


class ServerSettings(Setting):
    """What makes one server replayable."""

    template: str | None = Field(
        None, description="folder or file that each session gets a copy of"
    )
    reset: str | None = Field(
        None,
        description="process: a new server for each session; folder: the files are put back under a"
        " running server; session: the server keeps the sessions of MCP apart; or a call",
    )
    state: StateSettings = StateSettings()
    mask: dict[str, str] = Field(
        default_factory=dict, description="name -> regular expression of text that varies"
    )
    ids: dict[str, str] = Field(
        default_factory=dict,
        description="name -> regular expression of ids that vary; the agent sees and writes name-1",
    )
    errors: tuple[str, ...] = Field((), description="regular expressions of responses that failed")
    tools: tuple[str, ...] | None = Field(None, description="tools that are used; default: all")

    @field_validator("mask", "ids")
    @classmethod
    def _marks(cls, found: dict[str, str]) -> dict[str, str]:
        for name, pattern in found.items():
            if not MARK.fullmatch(name):
                raise ValueError(f"{name!r}: must be a name of at most 30 letters and digits")
            _compiled(pattern)
        return found

    @field_validator("errors")
    @classmethod
    def _patterns(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in found:
            _compiled(pattern)
        return found

    @field_validator("reset")
    @classmethod
    def _known(cls, found: str | None) -> str | None:
        if found is not None and found not in RESETS and "(" not in found:
            raise ValueError(f"must be one of {', '.join(RESETS)}, or a call such as clear()")
        return found


class ServerLimits(Setting):
    """Limits of the servers that run."""

    servers: int = Field(8, ge=1, le=256, description="of each kind at the same time")
    warm: int = Field(2, ge=0, le=64, description="started in advance")
    start_seconds: float = Field(60.0, gt=0, le=3600, description="until a server has its tools")
    call_seconds: float = Field(10.0, gt=0, le=3600, description="wall time of one call")
    megabytes: int = Field(64, ge=1, le=10_000, description="of a template, and of a read state")
    files: int = Field(5_000, ge=1, le=1_000_000, description="in a template and in a state")


class Replay(Setting):
    """The section `rods` of the file."""

    servers: dict[str, ServerSettings] = Field(default_factory=dict)
    limits: ServerLimits = ServerLimits()


class McpFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    mcpServers: dict[str, Entry] = Field(min_length=1)  # its name in the file
    rods: Replay = Replay()

    @model_validator(mode="after")
    def _named(self) -> McpFile:
        for name in self.mcpServers:
            if not NAME.fullmatch(name):
                raise ValueError(f"mcpServers.{name}: a name has letters, digits, - and _ only")
        for name in self.rods.servers:
            if name not in self.mcpServers:
                raise ValueError(f"rods.servers.{name}: mcpServers has no such server")
        return self


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
