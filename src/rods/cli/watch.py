"""The command that shows runs while they go on: watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rods.terminal import say

PORT = 8642


def watch(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on. Beyond this machine it wants a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = PORT,
) -> None:
    """Serve a page on runs that go on: figures, tasks and episodes. It only reads.

    If the address can be reached from other machines, the environment variable RODS_WATCH_TOKEN
    must hold a token, which the page then asks for.
    """
    from rods.extras import WATCH, require

    require(*WATCH)
    from rods.watch.server import serve

    serve(runs, host, port, say)
