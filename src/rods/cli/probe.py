"""The self-test of a model for synthesis: `rods synth --probe`."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from rods.cli.options import counted
from rods.processes import Stopper
from rods.terminal import Bar, Screen, complain, say, visible

if TYPE_CHECKING:
    from rods.synthesis.llm.probe import Row
    from rods.synthesis.settings import SynthSettings


def run_probe(settings: SynthSettings, *, as_json: bool) -> None:
    """Test the model of the settings on their seed tasks, and print which stages it should do.

    Raises:
        UserError: the endpoint is unusable, or the seed tasks cannot be run.
        typer.Exit: it was interrupted.
    """
    from rods.synthesis.llm.probe import as_data, probe
    from rods.synthesis.llm.probe_questions import questions

    backend = settings.model
    assert backend is not None
    config = backend.config
    with Stopper() as stopper:
        try:
            endpoint = backend.endpoint()
            asked = questions(endpoint, config.model, settings.inputs(), settings.seed)
            with Bar("probe", len(asked)) as bar:
                rows = probe(asked, settings.seed, config.parallel, bar.advance, backend.stop)
        except KeyboardInterrupt:
            complain("interrupted")
            raise typer.Exit(128 + (stopper.number or signal.SIGINT)) from None
        finally:
            backend.stop()
    if as_json:
        say(json.dumps({"model": config.model, **as_data(rows), **backend.usage()}))
        return
    Screen().show(_table(config.model, rows, backend.seconds()))
    for line in _advice(rows):
        say(line)


def _table(model: str, rows: list[Row], seconds: Mapping[str, float]) -> Table:
    """The results.

    Args:
        seconds: of a question, by role.
    """
    numbers = (Column(name, justify="right") for name in ("Passed", "Seconds each"))
    table = Table("Role", "What", *numbers, "", "Failures", title=visible(model), box=SIMPLE_HEAD)
    for row in rows:
        counts = f"{row.passed} of {row.asked}", f"{seconds.get(row.role, 0):.1f}"
        good = "" if row.good else "too few"
        table.add_row(row.role, row.what, *counts, good, visible(counted(row.failures)))
    return table


def _advice(rows: list[Row]) -> list[str]:
    from rods.synthesis.llm.probe import advice

    stages, options = advice(rows)
    if not stages:
        return ["This model should do no stage; use --backend program."]
    named = " ".join([*(f"--stage {stage}" for stage in stages), *options])
    return [f"This model should do: {', '.join(stages)}.", f"rods synth --backend llm {named}"]
