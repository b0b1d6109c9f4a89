"""`rods synth --follow RUN`: a worker in a terminal of its own, or under the trainer's eyes."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rods.errors import BusyError
from rods.stopper import Stopper
from rods.terminal import SELDOM, complain, is_terminal, say, stdout

if TYPE_CHECKING:
    from rods.synthesis.worker import WorkerProgress

TO_THE_END = "\x1b[K"  # has a terminal clear the rest of the line


def run(folder: Path, *, supervised: bool, as_json: bool) -> None:
    """Follow the run until it is finished, or until Ctrl-C.

    Raises:
        UserError: see `rods.follow.follow`.
        typer.Exit: with a status of its own where synthesis is given up.
    """
    from rods.follow import follow
    from rods.synthesis.supervisor import BROKEN, BUSY

    live, said = is_terminal(stdout()), time.monotonic()

    def tell(count: WorkerProgress) -> None:
        nonlocal said
        if supervised or as_json:
            say(json.dumps(count._asdict()))
        elif live:
            print(f"\r{_line(count)}{TO_THE_END}", end="", file=stdout(), flush=True)
        elif time.monotonic() - said > SELDOM:
            said = time.monotonic()
            say(_line(count))

    def notice(line: str) -> None:
        if supervised:
            say(json.dumps({"notice": line}))
        else:
            complain(line)

    count = None
    with Stopper() as stopper, suppress(KeyboardInterrupt):
        try:
            count = follow(folder, stopper, tell, notice, supervised=supervised)
        except BusyError:
            if supervised:
                raise typer.Exit(BUSY) from None
            raise
    if not (supervised or as_json):
        if live:
            print(file=stdout())
        say(_line(count) if count else "interrupted")
    if count is not None and count.gave_up:
        raise typer.Exit(BROKEN)
    if stopper.number:
        raise typer.Exit(128 + stopper.number)


def _line(count: WorkerProgress) -> str:
    errors = f"; jobs that ended in an error: {count.errors}" if count.errors else ""
    return (
        f"{count.jobs} jobs done, {count.candidates} candidates made; {count.open} jobs open,"
        f" {count.waiting} candidates waiting; it pauses at {count.bound}{errors}"
    )
