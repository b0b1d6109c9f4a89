"""What the commands share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from rods.errors import UserError
from rods.task import Category

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
EnvOption = Annotated[
    str, typer.Option(help="bfcl, or package.module:Class, several joined by commas.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Source of all randomness.")]
CategoryOption = Annotated[str | None, typer.Option(help="Only this category.")]
SeedFile = Annotated[
    Path | None, typer.Option(help="Tasks for classes of your own, YAML or JSON lines.")
]
SidesOption = Annotated[str, typer.Option(help="Of bfcl: train, or train+validation.")]


def known_category(category: str | None) -> None:
    """Refuse a category that does not exist.

    Raises:
        UserError: it is none.
    """
    if category is not None and category not in tuple(Category):
        raise UserError(f"--category {category}: choose one of {', '.join(Category)}")


def progress() -> Any:
    """A progress bar on a terminal, nothing elsewhere."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def counted(counts: dict[str, int]) -> str:
    """Counts as text, the largest first."""
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=lambda kv: -kv[1]))


def complain(message: str) -> None:
    """One line of error."""
    print(f"rods: {' '.join(message.split())}", file=sys.stderr)
