"""All commands, each with the text that its `--help` prints."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from typer.testing import CliRunner

from rods.cli.commands import app


def names(group: typer.Typer = app, above: str = "") -> Iterator[str]:
    """The commands without `rods` before them; "" is `rods` itself, and groups come first."""
    yield above
    before = f"{above} ".lstrip()
    for command in group.registered_commands:
        yield before + (command.name or command.callback.__name__)
    for inner in group.registered_groups:
        yield from names(inner.typer_instance, before + inner.name)


def shown(name: str) -> str:
    """What `--help` prints."""
    app.rich_markup_mode = None  # as where the output is no terminal
    runner = CliRunner(env={"COLUMNS": "82"})  # the same lines on every terminal
    result = runner.invoke(app, [*name.split(), "--help"], prog_name="rods")
    assert result.exit_code == 0, result.output
    return result.output.strip()


def text() -> str:
    """All commands as Markdown."""
    parts = []
    for name in names():
        parts += [f"## {f'rods {name}'.strip()}", f"```text\n{shown(name)}\n```"]
    return "\n\n".join(parts)
