"""A page on runs, asked as a browser asks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from rods.watch.run import Keeper
from rods.watch.server import application


@contextmanager
def watched(*folders: Path, token: str = "", follow: bool = False) -> Iterator[TestClient]:
    """A client of the pages on these runs.

    Args:
        follow: keep up with them in the background; else they are read once.
    """
    keeper = Keeper(folders)
    try:
        if follow:
            keeper.start()
        else:
            for run in keeper.runs.values():
                while run.look():
                    pass
        app = application(keeper, token)
        with TestClient(app, "http://127.0.0.1", follow_redirects=False) as client:
            yield client
    finally:
        keeper.close()
