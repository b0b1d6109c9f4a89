"""One trainer and one worker a folder, and a lease that ends with its process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rods.errors import BusyError
from rods.store.lease import Lease, check_free, holder, kill_holder

HOLD = """
import sys
from pathlib import Path
from rods.store.lease import Lease
lease = Lease(Path(sys.argv[1]), sys.argv[2])
"""
CHILD = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
"""
FORK = """
import os, time
from types import SimpleNamespace
child = SimpleNamespace(pid=os.fork())
if not child.pid:
    time.sleep(99)
"""
WAIT = """
print(child.pid if "child" in globals() else 0, flush=True)
sys.stdin.read()
"""

PATIENCE = 60.0  # seconds until a test says that something never happens


class Process:
    """Runs a script on a folder; `said` is the number that it says when it is ready."""

    def __init__(self, script: str, folder: Path, kind: str = "trainer") -> None:
        command = [sys.executable, "-c", script + WAIT, str(folder), kind]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.pid = self.process.pid
        assert self.process.stdout is not None
        self.said = int(self.process.stdout.readline())

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self.said:
            os.kill(self.said, signal.SIGKILL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def test_one_of_each_kind(tmp_path: Path) -> None:
    trainer, worker = Lease(tmp_path, "trainer"), Lease(tmp_path, "worker")
    for kind in ("trainer", "worker"):
        with pytest.raises(BusyError, match=f"another {kind} is at work here"):
            Lease(tmp_path, kind)
    trainer.close()
    trainer = Lease(tmp_path, "trainer")
    with pytest.raises(BusyError):
        Lease(tmp_path, "worker")
    trainer.close()
    worker.close()


def test_a_refusal_names_the_other_process(tmp_path: Path) -> None:
    with Process(HOLD, tmp_path) as other:
        told = f"another trainer is at work here (process {other.pid} on {socket.gethostname()})"
        with pytest.raises(BusyError) as caught:
            Lease(tmp_path, "trainer")
        assert str(caught.value).startswith(f"{tmp_path}: {told}; ")
        with pytest.raises(BusyError) as early:
            check_free(tmp_path, "trainer")
        assert str(early.value) == str(caught.value)
        check_free(tmp_path, "worker")
        assert [path.name for path in tmp_path.iterdir()] == ["trainer.lock"]
        assert holder(tmp_path, "trainer") == {"pid": other.pid, "host": socket.gethostname()}
        assert holder(tmp_path, "worker") is None


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    with Process(HOLD, tmp_path) as other:
        with pytest.raises(BusyError):
            Lease(tmp_path, "trainer")
        other.kill()
        assert holder(tmp_path, "trainer") is None
        check_free(tmp_path, "trainer")
        Lease(tmp_path, "trainer").close()


@pytest.mark.parametrize("beget", [CHILD, FORK])
def test_a_child_does_not_keep_it(tmp_path: Path, beget: str) -> None:
    with Process(HOLD + beget, tmp_path) as other:
        with pytest.raises(BusyError):
            Lease(tmp_path, "trainer")
        other.kill()
        os.kill(other.said, 0)  # the child is alive
        end = time.monotonic() + PATIENCE
        while True:  # it lets go with its first instruction, which may be yet to come
            try:
                Lease(tmp_path, "trainer").close()
                break
            except BusyError:
                assert time.monotonic() < end, "the child keeps it"
                time.sleep(0.01)


def test_a_fork_takes_nothing_from_its_parent(tmp_path: Path) -> None:
    with Process(HOLD + FORK, tmp_path) as other:
        os.kill(other.said, signal.SIGKILL)
        with pytest.raises(BusyError):
            Lease(tmp_path, "trainer")
        other.said = 0


def test_only_a_holder_is_killed(tmp_path: Path) -> None:
    script = "import sys\n"
    with Process(HOLD, tmp_path, "worker") as holding, Process(script, tmp_path) as innocent:
        lock = tmp_path / "worker.lock"
        true = lock.read_text()
        for told in (
            true.replace(str(holding.pid), str(innocent.pid)),
            true.replace(socket.gethostname(), "elsewhere"),
            true.replace(str(holding.pid), "9" * 30),
            true.replace(str(holding.pid), '"x"'),
            "{}",
            "",
        ):
            lock.write_text(told)
            kill_holder(tmp_path, "worker")
            assert (holding.process.poll(), innocent.process.poll()) == (None, None)
        lock.write_text(true)
        kill_holder(tmp_path, "trainer")
        assert holding.process.poll() is None
        kill_holder(tmp_path, "worker")
        assert holding.process.wait() == -signal.SIGKILL
        assert holder(tmp_path, "worker") is None
        kill_holder(tmp_path, "worker")
        assert innocent.process.poll() is None


def test_nobody_kills_itself(tmp_path: Path) -> None:
    lease = Lease(tmp_path, "worker")
    assert holder(tmp_path, "worker") is not None
    kill_holder(tmp_path, "worker")
    lease.close()
