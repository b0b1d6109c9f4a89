"""All commands with an example of each, and how their errors are reported."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from rods import __version__
from rods.cli import (
    comparison,
    environments,
    evaluation,
    neighbours,
    synth,
    tasks,
    training,
    watch,
)
from rods.errors import OutputError, RepeatedError, UserError
from rods.terminal import alone, complain, discard, is_terminal, prepare_streams, say

TRAIN = "rods train --run runs/demo --preset micro --seed 0"
CHECK = "rods envs check package.module:Class --tasks tasks.yaml"
app = typer.Typer(
    help="Reward-driven online data synthesis for multi-turn tool-use agents.",
    epilog=f"Example: {TRAIN}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
EXAMPLES: dict[Callable[..., None], str] = {  # of each command, one line of a terminal
    training.train: TRAIN,
    training.report: "rods report runs/demo",
    watch.watch: "rods watch runs/demo",
    comparison.compare: "rods compare --arms static,rods --seeds 0,1,2 --out results/arms",
    evaluation.eval: "rods eval --endpoint URL --model NAME --limit 20 --out runs/eval",
    synth.synth: "rods synth --count 100 --out tasks.jsonl",
    tasks.verify: "rods verify tasks.jsonl",
    tasks.review: "rods review tasks.jsonl --env package.module:Class",
    tasks.export: "rods export tasks.jsonl --format bfcl --out exported",
    neighbours.import_: "rods import nemo-gym rows.jsonl --env shop:Shop --out tasks.jsonl",
    neighbours.serve: "rods serve --env shop:Shop --tasks tasks.jsonl --port 8000",
    tasks.profile: "rods profile multi_turn_base_3 multi_turn_base_4",
    environments.score: "rods score episodes.jsonl --json",
    environments.audit: "rods audit --category miss_func",
    environments.play: "rods play multi_turn_base_3",
    training.simulate: "rods simulate --sweep pool.beta=0.1,0.2 --seeds 5",
    training.doctor: "rods doctor runs/demo",
}
for command, example in EXAMPLES.items():
    name = command.__name__.rstrip("_")  # some are words of Python's own
    app.command(name, epilog=f"Example: {example}")(alone()(command))
envs_app = typer.Typer(
    help="Your own environments.", epilog=f"Example: {CHECK}", no_args_is_help=True
)
envs_app.command("check", epilog=f"Example: {CHECK}")(alone()(environments.check))
app.add_typer(envs_app, name="envs")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        say(f"rods {__version__}")
        raise typer.Exit()


def run() -> None:
    """Run the command. An error that the user can mend gives one line and an exit code."""
    try:
        prepare_streams()
        _check_surroundings()
        if not is_terminal(sys.stdout):
            app.rich_markup_mode = None  # help without colours and frames
        status = typer.main.get_command(app).main(prog_name="rods", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except RepeatedError:
        sys.exit(2)
    except UserError as error:
        complain(str(error))
        sys.exit(2)
    except OutputError as error:
        _unwritable(error)
    except OSError as error:  # from the library that prints help and tables
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        _unwritable(OutputError("standard output", error))
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _misused(error)


def _check_surroundings() -> None:
    """Refuse to work where relative paths or the descriptions of tools are missing.

    Raises:
        UserError: the current folder was removed, or Python discards docstrings.
    """
    try:
        os.getcwd()
    except OSError:
        raise UserError("the current folder was removed; change to another one") from None
    if sys.flags.optimize > 1:
        message = "Python discards the docstrings, which describe tools; unset PYTHONOPTIMIZE"
        raise UserError(message)


def _misused(error: Any) -> NoReturn:
    """Report unusable options or arguments; the library that reads them hides its error classes."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        command = error.ctx.command_path if getattr(error, "ctx", None) else "rods"
        complain(f"{error.format_message()} ({command} --help shows the options)")
    sys.exit(error.exit_code)


def _unwritable(error: OutputError) -> NoReturn:
    discard(sys.stdout)
    complain(str(error))
    sys.exit(error.status)
