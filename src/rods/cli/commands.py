"""All commands, and what becomes of their errors."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from rods import __version__
from rods.cli import envs, episodes, simulation, synthesis, training
from rods.errors import OutputError, UserError
from rods.terminal import alone, complain, discard, is_terminal, prepare_streams, say

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
    app.command()(alone()(command))
envs_app = typer.Typer(help="Environments of your own.", no_args_is_help=True)
envs_app.command("check")(alone()(envs.check))
app.add_typer(envs_app, name="envs")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        say(f"rods {__version__}")
        raise typer.Exit()


def run() -> None:
    """Do what is asked: an error that a person can mend is one line and an exit code."""
    try:
        prepare_streams()
        _check_surroundings()
        if not is_terminal(sys.stdout):
            app.rich_markup_mode = None  # help without colours and frames
        status = typer.main.get_command(app).main(prog_name="rods", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except UserError as error:
        complain(str(error))
        sys.exit(2)
    except OutputError as error:
        _unwritable(error)
    except OSError as error:  # of the library that prints help and tables
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        _unwritable(OutputError("standard output", error))
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _misused(error)


def _check_surroundings() -> None:
    """Refuse to work where paths mean nothing or tools are not described.

    Raises:
        UserError: the current folder was removed, or Python leaves docstrings out.
    """
    try:
        os.getcwd()
    except OSError:
        raise UserError("the current folder is gone; go to another one") from None
    if sys.flags.optimize > 1:
        message = "Python leaves out the docstrings, which describe tools; unset PYTHONOPTIMIZE"
        raise UserError(message)


def _misused(error: Any) -> NoReturn:
    """Unusable options or arguments; the library that reads them does not publish its classes."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        command = error.ctx.command_path if getattr(error, "ctx", None) else "rods"
        complain(f"{error.format_message()} ({command} --help tells of the options)")
    sys.exit(error.exit_code)


def _unwritable(error: OutputError) -> NoReturn:
    discard(sys.stdout)
    complain(str(error))
    sys.exit(error.status)
