"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
EnvOption = Annotated[
    str, typer.Option(help="bfcl, or package.module:Class; join several by commas.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Random seed.")]
CategoryOption = Annotated[str | None, typer.Option(help="Only this category.")]
SeedFile = Annotated[
    Path | None, typer.Option(help="Tasks of your own: YAML or JSON lines, or from rods synth.")
]
SidesOption = Annotated[str, typer.Option(help="Side of bfcl: train, or train+validation.")]


def counted(counts: dict[str, int]) -> str:
    """Counts as text, the largest first."""
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=lambda kv: -kv[1]))
