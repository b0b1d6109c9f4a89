"""A signal to the command asks the trainer, which is another process, to stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from rods.trainers.verl.stopping import Asking, stop_asked


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_one_ends(
    tmp_path: Path, number: signal.Signals
) -> None:
    with Asking(tmp_path) as stopper:
        assert not stop_asked(tmp_path)
        os.kill(os.getpid(), number)
        assert stop_asked(tmp_path) and stopper.number == number
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert not stop_asked(tmp_path)


def test_a_signal_before_there_is_a_run_ends_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Asking(tmp_path / "run"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert not (tmp_path / "run").exists()


def test_an_old_request_is_not_obeyed(tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    with Asking(tmp_path):
        assert not stop_asked(tmp_path)
