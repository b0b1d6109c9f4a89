"""What came of a command."""

from __future__ import annotations

from typing import NamedTuple


class Done(NamedTuple):
    """Exit code and texts."""

    code: int
    out: str
    err: str


def refused(done: Done, *named: str) -> None:
    """Unusable input: exit code 2 and one line that names what is wrong."""
    assert done.code == 2
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith("rods: ")
    for name in named:
        assert name in done.err
