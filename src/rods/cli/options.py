"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from rods.envs.calls import CallLimits
from rods.errors import UserError, first_problem

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
EnvOption = Annotated[
    str, typer.Option(help="bfcl, package.module:Class (several by commas), or mcp:FILE.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Random seed.")]
CategoryOption = Annotated[str | None, typer.Option(help="Only this category.")]
SeedFile = Annotated[
    Path | None, typer.Option(help="Tasks of your own: YAML or JSON lines, or from rods synth.")
]
LimitsOption = Annotated[
    str,
    typer.Option(
        help="Limits of calls: seconds=1,state_seconds=10,megabytes=512; those that shall differ."
    ),
]
SidesOption = Annotated[str, typer.Option(help="Side of bfcl: train, or train+validation.")]


def limits_of(text: str) -> CallLimits:
    """The limits that `--limits` gives.

    Raises:
        UserError: one is unknown or no number.
    """
    values: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        values[name.strip()] = value.strip()
    try:
        return CallLimits.model_validate(values)
    except ValidationError as error:
        raise UserError(f"--limits {text}: {first_problem(error)}") from None


def counted(counts: dict[str, int]) -> str:
    """Counts as text, the largest first."""
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=lambda kv: -kv[1]))
