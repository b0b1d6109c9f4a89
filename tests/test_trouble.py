"""Broken synthesis is reported at once and given up after some errors; it never looks sound."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import pytest

from doubles import SEEDS, RenamingSynthesis, content, make_config, steps, with_signal
from rods.config import Config
from rods.endpoint.fault import Cause
from rods.errors import declare_secret, hidden
from rods.job_result import FRAMES, MAX_TRACE, error_text
from rods.loop import Loop
from rods.metrics import summarise
from rods.store.store import Store
from rods.synthesis import supervisor
from rods.synthesis.failures import ModelError
from rods.synthesis.supervisor import Supervisor
from rods.synthesis.worker import SynthesisWorker, WorkerProgress
from rods.task import Task

KEY = "sk-0123456789-of-nobody"
HOSTILE = "<script>alert(1)</script> [red] \x1b[2J \ud800"

PATIENCE = 300.0  # seconds until a test says that something never happens


class Ailing(RenamingSynthesis):
    """Test double that raises in the jobs of these numbers, from 0; in all if there are none."""

    def __init__(self, error: Callable[[], Exception], at: Sequence[int] = ()) -> None:
        super().__init__()
        self.error, self.at, self.jobs = error, at, -1

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        self.jobs += 1
        if self.jobs in self.at or not self.at:
            raise self.error()
        return super().vary(parent, rng, epoch)


def broken() -> ValueError:
    return ValueError(f"no such tool, asked with Bearer {KEY} {HOSTILE}")


def begin(
    folder: Path,
    synthesis: RenamingSynthesis | None,
    step: int = 0,
    mode: str = "inline",
    **options: int,
) -> tuple[Loop, list[str]]:
    """A run that lets in all that is made, with what it tells."""
    config = make_config(2, boundary={"cooldown": 0}, synthesis={"mode": mode, **options})
    lines: list[str] = []
    store = Store(folder, durable=False)
    if store.meta("config") is None:
        store.set_meta("config", config.model_dump(mode="json"))
    return Loop(config, store, SEEDS, synthesis, step, lines.append), lines


def epochs(loop: Loop, count: int) -> None:
    """Whole epochs in which all groups have a signal."""
    for _ in range(count):
        for tasks in steps(loop):
            loop.add_groups(with_signal(tasks))
        loop.end_epoch()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def test_a_broken_synthesis_is_told_given_up_and_found(rods, tmp_path: Path) -> None:
    """Inline: the trainer goes on without, and nobody needs to look for the cause."""
    loop, messages = begin(tmp_path / "run", Ailing(broken), errors=3)
    epochs(loop, 3)
    assert loop.store.last_step() == 12
    line = "ValueError: no such tool, asked with Bearer *** <script>alert(1)</script> [red] [2J"
    assert messages == [
        f"an error in synthesis: {line}; the report shows its traceback",
        f"synthesis is given up: 3 errors in a row; last: {line}; training continues without it",
    ]
    assert loop.queue.outcomes() == {"error": 3, "": 21}, "jobs stay open"
    summary = summarise(loop.config, loop.store, [], loop.producer.errors.gave_up)["synthesis"]
    assert (summary["errors"], summary["first_error"]) == (3, line)
    assert summary["gave_up"] == f"3 errors in a row; last: {line}"
    loop.store.close()
    done = rods("doctor", tmp_path / "run")
    assert done.code == 2
    assert f"BAD synthesis: 3 jobs ended in an error, the first at step 5: {line}" in done.out
    page = Path(rods("report", tmp_path / "run").out.strip()).read_text("utf-8")
    assert "3 jobs ended in an error, the first at step 5" in page
    assert "in vary\n" in page, "no traceback"
    assert escape(line) in page
    assert "<script>alert" not in page
    stored = "".join(p.read_bytes().decode("latin-1") for p in (tmp_path / "run").iterdir())
    assert KEY not in stored + page + done.out + "".join(messages)


def test_a_run_without_errors_is_sound(rods, tmp_path: Path) -> None:
    loop, messages = begin(tmp_path / "run", RenamingSynthesis())
    epochs(loop, 2)
    assert set(loop.queue.outcomes()) <= {"made", "given up", ""}
    loop.store.close()
    done = rods("doctor", tmp_path / "run")
    assert (done.code, messages) == (0, [])
    assert "ok  synthesis: no job ended in an error" in done.out


@pytest.mark.parametrize("at", [(0, 1, 3, 4, 6, 7), (2, 3), (0, 1, 2)])
def test_what_is_made_or_refused_ends_the_row(tmp_path: Path, at: Sequence[int]) -> None:
    loop, messages = begin(tmp_path, Ailing(broken, at), errors=3)
    epochs(loop, 3)
    in_a_row = at == (0, 1, 2)
    assert bool(loop.producer.errors.gave_up) == in_a_row
    assert (loop.curriculum.pool.injected == 0) == in_a_row
    assert len(messages) == 1 + in_a_row
    loop.store.close()


def test_the_same_command_tries_again(tmp_path: Path) -> None:
    loop, messages = begin(tmp_path, Ailing(broken), errors=2)
    epochs(loop, 1)
    assert len(messages) == 2
    loop.store.close()
    loop, messages = begin(tmp_path, RenamingSynthesis(), step=loop.step, errors=2)
    epochs(loop, 1)  # its end is done again too, whose errors went back with the run
    assert (messages, loop.queue.errors()) == ([], None)
    assert loop.curriculum.pool.injected > 0
    loop.store.close()


def test_errors_go_back_with_the_run(tmp_path: Path) -> None:
    whole, _ = begin(tmp_path / "whole", Ailing(broken), errors=99)
    loop, _ = begin(tmp_path / "broken", Ailing(broken), errors=99)
    epochs(whole, 3)
    epochs(loop, 2)
    loop.load(3)
    while len(loop.store.epochs.ends()) < 3:
        epochs(loop, 1)
    assert content(loop.store) == content(whole.store)
    errors = whole.queue.errors()
    assert errors is not None and errors.jobs == 24
    (traces,) = whole.store.db.read("SELECT COUNT(*) FROM errors WHERE traceback != ''")
    assert traces == (1,), "one traceback is enough"
    for each in (whole, loop):
        each.store.close()


def test_a_model_that_does_not_answer_is_no_error(tmp_path: Path) -> None:
    """Its endpoint is down, which is nobody's mistake and may pass."""
    dead = Ailing(lambda: ModelError(Cause.DOWN, "planner", "connection refused"))
    loop, messages = begin(tmp_path, dead, errors=2)
    epochs(loop, 1)
    assert (messages, loop.producer.errors.gave_up) == ([], "")
    assert loop.queue.outcomes() == {"no answer: down": 8}
    loop.store.close()


def test_what_is_no_task_is_an_error(tmp_path: Path) -> None:
    class Careless(RenamingSynthesis):
        def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
            return "a task"  # type: ignore[return-value]

    loop, messages = begin(tmp_path, Careless(), errors=2)
    epochs(loop, 1)
    assert "TypeError: vary() gave no task but str" in messages[0]
    loop.store.close()


def test_the_same_variant_again_is_none(tmp_path: Path) -> None:
    class Stubborn(RenamingSynthesis):
        made: Task | None = None

        def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
            self.made = self.made or super().vary(parent, rng, epoch)
            return self.made and self.made.model_copy(update={"parent": parent.id})

    loop, _ = begin(tmp_path, Stubborn())
    epochs(loop, 1)
    assert loop.queue.outcomes() == {"made": 1, "known already": 7}
    assert loop.queue.fates(0).made == loop.curriculum.pool.injected == 1
    loop.store.close()


@pytest.mark.parametrize("named", ["", SEEDS[0].id])
def test_a_variant_of_another_task_is_an_error(tmp_path: Path, named: str) -> None:
    """It could never join, and more would be made in its place without end."""

    class Mistaken(RenamingSynthesis):
        def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
            made = super().vary(parent, rng, epoch)
            return made and made.model_copy(update={"parent": named})

    loop, messages = begin(tmp_path, Mistaken(), errors=3)
    epochs(loop, 1)
    assert "ValueError: vary() gave a task that names" in messages[0]
    joined = [event.reason for event in loop.store.events() if event.kind == "injected"]
    assert loop.queue.fates(0).made == len(joined)
    assert set(joined) <= {named}
    assert loop.queue.outcomes()["error"] >= 3
    loop.store.close()


class Untold(RenamingSynthesis):
    """Test double that makes variants, and cannot say what it did from its first job on.

    Args:
        what: "funnel", "later" for a funnel that is lost within the job, "spent", or what
            `take_failures` gives or raises.
    """

    def __init__(self, what: object) -> None:
        super().__init__()
        self.what = what
        if what == "funnel":
            self.funnel = None  # type: ignore[assignment]
        elif what == "spent":
            self.spent = None

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        made = super().vary(parent, rng, epoch)
        if self.what == "later":
            self.funnel = {"tried": None}  # type: ignore[dict-item]
        return made

    def take_failures(self) -> list[dict[str, str]]:
        if isinstance(self.what, Exception):
            raise self.what
        return super().take_failures() if isinstance(self.what, str) else self.what  # type: ignore[return-value]


UNTOLD = ["funnel", "later", "spent", KeyError("lost"), None, [{"of": {1, 2}}], ["a history"]]


@pytest.mark.parametrize("what", UNTOLD, ids=str)
def test_what_synthesis_cannot_tell_is_an_error(tmp_path: Path, what: object) -> None:
    """Neither an epoch's end fails by it, nor a worker."""
    loop, messages = begin(tmp_path / "inline", Untold(what), errors=3)
    epochs(loop, 2)
    assert loop.store.last_step() == 8
    assert [line.split(":")[0] for line in messages] == [
        "an error in synthesis", "synthesis is given up"
    ]  # fmt: skip
    assert loop.queue.outcomes() == {"error": 3, "": 13}
    assert loop.curriculum.pool.injected == 0
    loop.store.close()
    config = jobs_for_a_worker(tmp_path / "beside", errors=3)
    store = Store(tmp_path / "beside", role="worker", durable=False)
    count = SynthesisWorker(config, store, Untold(what), pause=0, notice=messages.append).run()
    assert (count.jobs, count.errors, count.candidates) == (3, 3, 0)
    assert count.gave_up.startswith("3 errors in a row")
    store.close()


def test_a_parent_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    loop, messages = begin(tmp_path, RenamingSynthesis())
    for tasks in steps(loop):
        loop.add_groups(with_signal(tasks))
    loop.store.db.write("UPDATE tasks SET body = '{}'")
    loop.end_epoch()
    assert "run.sqlite: task" in messages[0] and "damaged" in messages[0]
    loop.store.close()


def jobs_for_a_worker(folder: Path, **options: int) -> Config:
    """A run in background mode that has chosen its eight seeds, and whose trainer is at rest."""
    loop, _ = begin(folder, None, mode="background", **options)
    for tasks in steps(loop):
        loop.add_groups(with_signal(tasks))
    loop.store.close()
    return loop.config


def test_a_worker_ends_when_synthesis_is_broken(tmp_path: Path) -> None:
    config, counts, notices = (
        jobs_for_a_worker(tmp_path, errors=3),
        list[WorkerProgress](),
        list[str](),
    )
    store = Store(tmp_path, role="worker", durable=False)
    worker = SynthesisWorker(
        config, store, Ailing(broken), report=counts.append, pause=0, notice=notices.append
    )
    count = worker.run()
    assert count == counts[-1]
    assert (count.jobs, count.candidates, count.errors, count.open) == (3, 0, 3, 5)
    assert count.gave_up.startswith("3 errors in a row; last: ValueError")
    assert [notice.split(":")[0] for notice in notices] == [
        "an error in synthesis", "synthesis is given up"
    ]  # fmt: skip
    store.close()


FOLLOWER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import rods.follow
from rods.cli import main
from test_trouble import Ailing, broken
rods.follow.prepare_synthesis = lambda *_: Ailing(broken)
sys.argv = ["rods", "synth", "--follow", sys.argv[1], *sys.argv[3:]]
main()
"""


def test_a_broken_worker_is_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command in a process of its own, under a supervisor's eyes."""
    monkeypatch.setattr(supervisor, "POLL", 0.02)
    jobs_for_a_worker(tmp_path, errors=3)
    here, messages = str(Path(__file__).parent), list[str]()
    command = [sys.executable, "-c", FOLLOWER, str(tmp_path), here, "--supervised"]
    watched = Supervisor(command, restarts=5, silence=600, notice=messages.append)
    watched.start()._thread.join(PATIENCE)
    assert not watched._thread.is_alive()
    assert (watched.state.starts, watched.state.restarts, watched.state.deaths) == (1, 0, 0)
    assert watched.state.gave_up.startswith("3 errors in a row; last: ValueError: no such tool")
    assert [line.split(":")[0] for line in messages] == [
        "an error in synthesis", "synthesis is given up"
    ]  # fmt: skip
    assert watched.state.last["errors"] == 3
    assert KEY not in "".join(messages) + json.dumps(watched.state.last)


def test_a_traceback_is_bounded_and_keeps_both_ends() -> None:
    def deep(n: int) -> None:
        if not n:
            raise KeyError("lost " + "x" * 99_999 + KEY)
        deep(n - 1)

    with pytest.raises(KeyError) as caught:
        deep(200)
    trace = error_text(caught.value)
    assert len(trace.text) < MAX_TRACE + 100
    assert trace.text.startswith("Traceback") and trace.text.rstrip().endswith("***'")
    assert "characters are left out" in trace.text
    assert trace.text.count("in deep") <= FRAMES
    assert trace.line.startswith("KeyError: 'lost xxx")


def test_secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("SOME_TOKEN", "abcdefgh-longer"),
        ("OTHER_PASSWORD", "abcdefgh"),
        ("SHORT_KEY", "EMPTY"),
        ("PRIVATE_KEY", "first line\nsecond line\n"),
        ("HOMELY", "what anyone may read"),
        ("MODEL_ACCESS", "declared by the settings"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("rods.errors._declared", set())
    text = "abcdefgh-longer abcdefgh EMPTY second line what anyone may read"
    assert hidden(text) == "*** *** EMPTY *** what anyone may read"
    assert hidden("declared by the settings") == "declared by the settings"
    declare_secret("MODEL_ACCESS")
    assert hidden("declared by the settings") == "***"
