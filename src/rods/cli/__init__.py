"""The command line: one thin command a verb. Exit 0 on success, 2 on unusable input."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rods import __version__
from rods.cli import envs, episodes, simulation, synthesis, training
from rods.cli.common import complain
from rods.errors import UserError

app = typer.Typer(
    help="Reward-driven online data synthesis for multi-turn tool-use agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    training.train,
    training.report,
    synthesis.synth,
    synthesis.verify,
    synthesis.export,
    synthesis.profile,
    episodes.score,
    episodes.audit,
    episodes.play,
    simulation.simulate,
    training.doctor,
):
    app.command()(command)
envs_app = typer.Typer(help="Environments of your own.", no_args_is_help=True)
envs_app.command("check")(envs.check)
app.add_typer(envs_app, name="envs")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"rods {__version__}")
        raise typer.Exit()


def main() -> None:
    """Entry point: turns every `UserError` into one line and exit code 2."""
    try:
        app()
    except UserError as error:
        complain(str(error))
        sys.exit(2)
