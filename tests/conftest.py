"""The command in this process, and the rule that no test depends on how fast the machine is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from commandline import Done
from fragile import Fragile
from rods.cli import main
from runs import Runs

settings.register_profile("rods", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rods")


@pytest.fixture
def rods(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Calls the real entry point with these arguments."""

    def call(*args: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["rods", *map(str, args)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fragile]:
    """Tools that break down when they are told to."""
    monkeypatch.syspath_prepend(str(tmp_path))
    found = Fragile(tmp_path)
    yield found
    found.env.close()


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """With one finished run, "whole"."""
    found = Runs(tmp_path_factory.mktemp("runs"))
    done = found.call(found.command("whole"))
    assert done.code == 0, done.err
    return found
