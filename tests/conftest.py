"""The command in this process, and two rules: no test depends on how fast the machine is, and none
touches what the user has in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from commandline import Done, call
from fragile import Fragile
from runs import Runs
from small_shop import ask_first, open_shop

settings.register_profile("rods", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rods")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Policies are prepared once for all tests, in a cache of the session's own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RODS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def rods(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Calls the real entry point with these arguments."""

    return lambda *args: Done(call(monkeypatch, *args), *capsys.readouterr())


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fragile]:
    """Tools that fail on request."""
    monkeypatch.syspath_prepend(str(tmp_path))
    found = Fragile(tmp_path)
    yield found
    found.env.close()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a small environment and its tasks in it."""
    open_shop(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def runs(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """With one finished run, "whole"."""
    found = Runs(tmp_path_factory.mktemp("runs"))
    done = found.call(found.command("whole"))
    assert done.code == 0, done.err
    return found


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a small stock model with its tokenizer."""
    from stock_model import make_model

    return make_model(tmp_path_factory.mktemp("stock"), size=600, ending=0.03)


@pytest.fixture
def train(rods: Callable[..., Done], shop: Path, stock: Path) -> Callable[..., Done]:
    """Trains the stock model in the shop, whose tasks have a first turn that needs no call."""
    from model_runs import arguments

    ask_first(shop)
    return lambda run, *settings: rods(*arguments(shop / run, stock, *settings))
