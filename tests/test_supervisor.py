"""A worker that dies, hangs or ends: real processes, and what the trainer reports of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from doubles import SEEDS, faults_of, go, make_config
from rods.loop import Loop
from rods.store.store import Store
from rods.synthesis import supervisor
from rods.synthesis.supervisor import BROKEN, BUSY, LONGEST_PAUSE, Supervisor

WORK = "import json, os, sys, time\ntell = lambda n: print(json.dumps({'jobs': n}), flush=True)\n"
IDLE = "tell(0)\nsys.stdin.read()\n"
PATIENCE = 60.0  # seconds until a test says that nothing happens; a sound one takes less than one


class Watched:
    """A supervisor over a script; `reported` are the lines for a person."""

    def __init__(self, script: str, *arguments: object, **settings: object) -> None:
        self.reported: list[str] = []
        command = [sys.executable, "-c", WORK + script, *map(str, arguments)]
        usual = {"restarts": 2, "silence": PATIENCE, "pause": 0.01, "notice": self.reported.append}
        self.supervisor = Supervisor(command, **usual | settings)  # type: ignore[arg-type]
        self.state = self.supervisor.state

    def __enter__(self) -> Watched:
        self.supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.supervisor.close()

    def until(self, what: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < end, (self.state, self.reported)
            time.sleep(0.01)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "POLL", 0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_one_that_dies_at_every_start_is_given_up(tmp_path: Path) -> None:
    """And the trainer goes on without it."""
    config = make_config(2, synthesis={"mode": "background"})
    with Watched("print('first', file=sys.stderr)\nsys.exit('rods: no model')") as watched:
        loop = Loop(config, Store(tmp_path), SEEDS)
        go(loop, 4)
        watched.until(lambda: watched.state.gave_up)
        go(loop, 8)
    assert loop.store.last_step() == 8
    assert faults_of(loop.store, config) == []
    loop.store.close()
    state = watched.state
    assert (state.starts, state.restarts, state.deaths) == (3, 2, 3)
    assert state.gave_up == "died 3 times in a row; last: rods: no model"
    ended = "the synthesis worker ended (rods: no model); next start in"
    given_up = f"synthesis is given up: its worker {state.gave_up}"
    assert watched.reported == [f"{ended} 0.01 s", f"{ended} 0.02 s", given_up]


def test_it_waits_twice_as_long_each_time() -> None:
    watched = Supervisor([], restarts=0, silence=1, pause=1.0)
    rests = [watched._rest(times) for times in range(1, 12)]
    assert rests[:4] == [1, 2, 4, 8]
    assert rests[-1] == watched._rest(10**6) == LONGEST_PAUSE


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("sys.exit(3)", "exit status 3"),
        ("os.kill(os.getpid(), 9)", "exit status -9"),
        ("raise ValueError('some cause')", "ValueError: some cause"),
        ("print('\\n \\nlast words\\n', file=sys.stderr)", "last words"),
        ("sys.stderr.buffer.write(b'\\xff' * 999)", "\ufffd" * 300),
    ],
)
def test_last_words(script: str, words: str) -> None:
    with Watched(script, restarts=0) as watched:
        watched.until(lambda: watched.state.gave_up)
    assert watched.state.gave_up == f"died 1 times in a row; last: {words}"


def test_a_command_that_does_not_exist() -> None:
    with Watched("", restarts=1) as watched:
        watched.supervisor.command = ["/absent/worker"]
        watched.until(lambda: watched.state.gave_up)
    assert "/absent/worker" in watched.state.gave_up


def test_one_that_gives_up_is_given_up_at_once() -> None:
    with Watched(f"print('the model is gone', file=sys.stderr)\nsys.exit({BROKEN})") as watched:
        watched.until(lambda: watched.state.gave_up)
        watched.supervisor._thread.join()
    assert (watched.state.starts, watched.state.restarts) == (1, 0)
    assert watched.state.gave_up == "the model is gone"
    assert watched.reported == ["synthesis is given up: the model is gone"]


def test_what_a_person_should_see_is_told_at_once() -> None:
    script = "print(json.dumps({'notice': 'x \\x1b[2J' + 'y' * 999}), flush=True)\n" + IDLE
    with Watched(script) as watched:
        watched.until(lambda: watched.state.last == {"jobs": 0})
        assert watched.reported == ["x [2J" + "y" * 295]


def test_a_supervisor_that_fails_says_so() -> None:
    """A thread would end in silence."""
    watched = Watched("")
    watched.supervisor.command = ["no\0command"]
    with watched:
        watched.until(lambda: watched.state.gave_up)
        watched.supervisor._thread.join()
    assert watched.state.gave_up == "its supervisor failed: ValueError: embedded null byte"
    assert watched.reported == [f"synthesis is given up: {watched.state.gave_up}"]


def test_a_finished_job_forgives_earlier_deaths(tmp_path: Path) -> None:
    """Each life does one job more than the one before; the last ones do none."""
    script = """
lives = len(os.listdir(sys.argv[1]))
open(f"{sys.argv[1]}/{lives}", "w").close()
tell(0)
if lives < 6:
    tell(1)
"""
    with Watched(script, tmp_path) as watched:
        watched.until(lambda: watched.state.gave_up)
    # One that did its job counts as the first death in a row, since it died afterwards.
    assert (watched.state.starts, watched.state.deaths) == (8, 3)


def test_one_that_finds_another_at_work_has_not_died(tmp_path: Path) -> None:
    script = f"""
lives = len(os.listdir(sys.argv[1]))
open(f"{{sys.argv[1]}}/{{lives}}", "w").close()
if lives < 4:
    sys.exit({BUSY})
tell(0)
sys.stdin.read()
"""
    with Watched(script, tmp_path, restarts=0) as watched:
        watched.until(lambda: watched.state.last)
        assert (watched.state.starts, watched.state.deaths, watched.reported) == (5, 0, [])


def test_a_silent_one_is_replaced() -> None:
    with Watched("tell(0)\ntime.sleep(99)", silence=0.3, restarts=1) as watched:
        watched.until(lambda: watched.supervisor.pid or watched.state.gave_up)
        first = watched.supervisor.pid
        watched.until(lambda: watched.state.gave_up)
        assert watched.state.gave_up == "died 2 times in a row; last: silent for 0.3 s"
        assert first is None or not alive(first)


def test_any_word_is_a_sign_of_life() -> None:
    watched = Watched("")
    for words in ("nonsense\n", "{\n", "[1]\n", '{"jobs": 1}\n'):
        heard = [0.0]
        watched.supervisor._listen(SimpleNamespace(stdout=StringIO(words)), heard)  # type: ignore[arg-type]
        assert heard[0] > 0.0
    assert watched.state.last == {"jobs": 1}


def test_it_tells_what_the_worker_said_last() -> None:
    script = "tell(1)\nprint('{', flush=True)\nprint('[7]', flush=True)\ntell(2)\nsys.stdin.read()"
    with Watched(script) as watched:
        watched.until(lambda: watched.state.last.get("jobs") == 2)
        assert watched.state.last == {"jobs": 2}


CHILD = "import subprocess\nsubprocess.Popen(['sleep', '99'])\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntell(0)\ntime.sleep(99)"
CLOSED = "os.close(1)\nos.close(2)\ntime.sleep(99)"


@pytest.mark.parametrize("script", [IDLE, DEAF, CHILD + IDLE, CLOSED])
def test_close_leaves_nothing(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process, no thread and no open file; also of a worker that does not want to end."""
    monkeypatch.setattr(supervisor, "GRACE", 0.2)
    before = set(threading.enumerate())
    watched = Watched(script)
    with watched:
        watched.until(lambda: watched.state.last or script == CLOSED)
        watched.until(lambda: watched.supervisor.pid)
        process = watched.supervisor._process
        assert process is not None
        pipes = [process.stdin, process.stdout, process.stderr]
        assert "supervisor" in {thread.name for thread in set(threading.enumerate()) - before}
    assert watched.supervisor.pid is None

    def left() -> list[object]:
        """Whatever was killed is gone a moment later, and with it whoever reads its pipes."""
        folders = [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]
        running = [folder for folder in folders if in_session(folder, process.pid)]
        threads = set(threading.enumerate()) - before
        return [*running, *threads, *(pipe for pipe in pipes if pipe is None or not pipe.closed)]

    watched.until(lambda: not left())
    assert watched.reported == [], "ended on purpose, and reported as a death"


def in_session(folder: Path, session: int) -> bool:
    try:
        fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return False
    return fields[0] != "Z" and int(fields[3]) == session


def test_close_interrupts_a_pause() -> None:
    with Watched("sys.exit(1)", pause=LONGEST_PAUSE) as watched:
        watched.until(lambda: watched.reported)
    assert (watched.state.starts, watched.state.gave_up) == (1, "")


TRAINER = """
import sys, time
from rods.synthesis.supervisor import Supervisor
watched = Supervisor([sys.executable, "-c", sys.argv[1]], restarts=0, silence=60).start()
while not watched.state.last:
    time.sleep(0.01)
print(watched.pid, flush=True)
sys.stdin.read()
"""
FOLLOWER = """
import json, time
from rods.follow import end_with_parent
end_with_parent()
print(json.dumps({"jobs": 0}), flush=True)
time.sleep(99)
"""


def test_a_worker_ends_with_a_trainer_that_is_killed() -> None:
    command = [sys.executable, "-c", TRAINER, FOLLOWER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as trainer:
        assert trainer.stdout is not None
        worker = int(trainer.stdout.readline())
        assert alive(worker)
        trainer.send_signal(signal.SIGKILL)
        trainer.wait()
        end = time.monotonic() + PATIENCE
        while alive(worker):
            assert time.monotonic() < end, "the worker lives on"
            time.sleep(0.01)
