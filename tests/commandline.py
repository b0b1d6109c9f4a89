"""The command in this process, and the result of a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from rods.cli import main

RODS = str(Path(sys.executable).with_name("rods"))  # of this installation, on PATH or not


class Done(NamedTuple):
    """Exit code and texts."""

    code: int
    out: str
    err: str


def call(patched: pytest.MonkeyPatch, *args: object) -> int:
    """The exit code of the real entry point with these arguments."""
    patched.setattr(sys, "argv", ["rods", *map(str, args)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def refused(done: Done, *named: str) -> None:
    """Unusable input: exit code 2 and one line that names what is wrong."""
    assert done.code == 2
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith("rods: ")
    for name in named:
        assert name in done.err
