"""Faults of disks, files, processes and clocks, each provoked for real: who is told what, and that
nothing that was acknowledged is lost.

A trainer is a process of its own with the real store, small tasks and random rewards. A group is
acknowledged when `add_groups` has returned, an injected task when `end_epoch` has, a candidate when
`finish` has. When the cause of a fault is gone, what was acknowledged is read back; then the run is
taken up at the last acknowledged step and must end as one that nothing ever disturbed, and its
history must pass the audit. In background mode, where runs differ, only the audit is asked.

    python benchmarks/store_faults.py --out benchmarks/results/store_faults.json

As root it mounts small disks and gives up its rights where a fault needs that; otherwise, and with
--short, a limit on the size of files takes the place of a full disk. --short tries fewer places.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from doubles import (
    SEEDS,
    RenamingSynthesis,
    content,
    faults_of,
    make_config,
    play,
)
from rods.cli import main as command_line
from rods.errors import UserError
from rods.loop import Loop
from rods.store import database
from rods.store.database import FILE
from rods.store.store import Store
from rods.synthesis.supervisor import Supervisor
from rods.synthesis.worker import Producer
from rods.terminal import complain

END, HALF = 16, 8  # steps of a run
CAPABILITIES = 0x20080522  # version of the structures of capget(2)
OVERRIDES = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
FAKE_CLOCK = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
INLINE = make_config(2, seed=1, pool={"beta": 0.5, "p_max": 6})
BACKGROUND = make_config(
    2, seed=1, pool={"beta": 0.5, "p_max": 6}, synthesis={"mode": "background"}
)
Hook = Callable[[Store], None]


def say(**words: object) -> None:
    """Acknowledge something, past all buffers."""
    os.write(1, (json.dumps(words) + "\n").encode())


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Child:
    """A forked process that does some work and ends as the command line would."""

    def __init__(self, work: Callable[..., object], *arguments: Any) -> None:
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.dup2(out_end, 1)
            os.dup2(err_end, 2)
            # The former objects remember a position, if their streams were files.
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            os._exit(_run(work, *arguments))
        os.close(out_end)
        os.close(err_end)
        self.out, self.err = os.fdopen(out), os.fdopen(err)

    def wait(self, word: str) -> None:
        """Until it says something that contains the word."""
        assert any(word in line for line in self.out), self.err.read()

    def kill(self, number: int = signal.SIGKILL) -> Child:
        os.kill(self.pid, number)
        return self

    def end(self) -> Ended:
        """Wait for it."""
        said = [json.loads(line) for line in self.out if line.startswith("{")]
        error = self.err.read()
        self.out.close()
        self.err.close()
        return Ended(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), said, error)


@dataclass
class Ended:
    """What a process left: exit status (negative for a signal), acknowledgements, error output."""

    code: int
    said: list[dict[str, Any]]
    error: str

    @property
    def step(self) -> int:
        """Last acknowledged."""
        return max((word.get("step", 0) for word in self.said), default=0)

    @property
    def tasks(self) -> list[str]:
        """Acknowledged tasks and candidates."""
        return [task_id for word in self.said for task_id in word.get("tasks", ())]


def _run(work: Callable[..., object], *arguments: Any) -> int:
    try:
        work(*arguments)
    except UserError as error:
        complain(str(error))
        return 2
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def train(folder: Path, step: int = 0, hook: Hook | None = None, until: int = END) -> None:
    """An inline run up to a step; `hook` prepares a fault."""
    store = Store(folder)
    store.set_meta("config", INLINE.model_dump(mode="json"))  # for `rods doctor`
    if hook:
        hook(store)
    go_on(Loop(INLINE, store, SEEDS, RenamingSynthesis(), step=step), until)
    store.close()


def go_on(loop: Loop, until: int) -> None:
    """Train, and acknowledge what is done, each with the size of the write-ahead log by then."""
    log = loop.store.folder / f"{FILE}-wal"
    while loop.step < until:
        if loop.epoch_done():
            events = loop.end_epoch()
            injected = [event.task_id for event in events if event.kind == "injected"]
            say(tasks=injected, log=log.stat().st_size)
        loop.add_groups(play(loop.next_tasks(), loop.step + 1))
        say(step=loop.step, log=log.stat().st_size)


def command(*arguments: object) -> None:
    """The command line, in this process; whatever it prints is what a person sees."""
    sys.argv = ["rods", *map(str, arguments)]
    with redirect_stdout(sys.stderr):
        command_line()


@dataclass
class Row:
    """What became of one fault, in all places where it was tried.

    Attributes:
        told: last line that a person saw -> how often.
        groups, tasks: acknowledged before the fault.
        lost: of those, after the cause was gone.
        wrong: what was not as it should have been afterwards.
    """

    fault: str
    cases: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    groups: int = 0
    tasks: int = 0
    lost: int = 0
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def fine(self) -> bool:
        """Nothing is lost or wrong, and nobody saw a traceback."""
        return bool(self.cases) and not self.lost and not self.wrong and 1 not in self.codes

    def json(self) -> dict[str, Any]:
        return {**vars(self), "codes": _codes(self.codes), "fine": self.fine}

    def markdown(self) -> str:
        several, others = len(self.told) > 1, sum(self.told.values())
        lines = []
        for text, n in self.told.most_common(3):
            lines.append(f"`{text}`" + f" ({n})" * several)
            others -= n
        lines += [f"others ({others})"] if others else []
        told = "; ".join(lines).replace("|", "\\|") or "nothing"
        ends = ", ".join(f"{code}" + f" ({n})" * (len(self.codes) > 1)
                         for code, n in _codes(self.codes).items())  # fmt: skip
        wrong = "; ".join(f"{text} ({n})" for text, n in self.wrong.items()) or "0"
        kept = f"{self.groups} | {self.tasks} | {self.lost} | {wrong}"
        return f"| {self.fault} | {self.cases} | {told} | {ends} | {kept} |"


HEAD = """| fault | cases | last line of output | exit | groups | tasks | lost | wrong later |
| --- | --- | --- | --- | --- | --- | --- | --- |"""


def _codes(codes: Counter[int]) -> dict[str, int]:
    """Exit statuses as a person knows them."""
    return {signal.Signals(-c).name if c < 0 else str(c): n for c, n in sorted(codes.items())}


class Desk:
    """Provokes faults in folders of its own, and keeps a row of each.

    Attributes:
        whole: all that a run holds which nothing disturbed.
        half: folder of a run that was closed after half of its steps, and what it acknowledged.
    """

    def __init__(self, root: Path, short: bool) -> None:
        self.root, self.short, self.rows = root, short, dict[str, Row]()
        self.names = itertools.count()
        whole, self.half = self.folder(), self.folder()
        undisturbed = Child(train, whole).end()
        assert undisturbed.code == 0 and undisturbed.tasks, undisturbed
        self.whole = self.content(whole)
        self.begun = Child(train, self.half, 0, None, HALF).end()

    def folder(self) -> Path:
        return self.root / f"run{next(self.names)}"

    def copy(self, folder: Path) -> Path:
        return Path(shutil.copytree(folder, self.folder()))

    def content(self, folder: Path) -> list[Any]:
        store = Store(folder, role="reader")
        try:
            return content(store)
        finally:
            store.close()

    def seen(self, fault: str, ended: Ended, folder: Path) -> Row:
        """Note how a process ended."""
        row = self.rows.setdefault(fault, Row(fault))
        row.cases += 1
        row.codes[ended.code] += 1
        if ended.error.strip():
            line = ended.error.strip().splitlines()[-1]
            row.told[_plain(line.replace(str(folder), "run"))] += 1
        return row

    def note(self, fault: str, ended: Ended, folder: Path, *, inline: bool = True) -> None:
        """Note how a process ended; the cause is gone by now. Read back what it acknowledged, and
        take the run up again."""
        row = self.seen(fault, ended, folder)
        row.groups += ended.step * INLINE.rollout.tasks_per_step
        row.tasks += len(ended.tasks)
        if ended.step or ended.tasks:
            self.read_back(row, ended, folder, inline)
        if inline:
            again = Child(train, folder, ended.step).end()
            if again.code or self.content(folder) != self.whole:
                row.wrong[again.error.strip()[-200:] or "it ended as another run"] += 1
        self.audit(row, folder, inline)

    def audit(self, row: Row, folder: Path, inline: bool) -> None:
        """Whatever is there is whole."""
        store = Store(folder, role="reader")
        row.wrong.update(faults_of(store, INLINE if inline else BACKGROUND))
        store.close()

    def read_back(self, row: Row, ended: Ended, folder: Path, inline: bool) -> None:
        store = Store(folder, role="reader")
        groups = [group for group in store.groups() if group.step <= ended.step]
        known = {*store.tasks(), *(task.id for task in store.queue.candidates())}
        store.close()
        if inline:
            wanted = [group for group in self.whole[1] if group.step <= ended.step]
            row.lost += sum(group not in groups for group in wanted)
        row.lost += max(0, ended.step * INLINE.rollout.tasks_per_step - len(groups))
        row.lost += sum(task_id not in known for task_id in ended.tasks)
        self.audit(row, folder, inline)

    def after(self, ended: Ended) -> Ended:
        """With what the first half had acknowledged."""
        return Ended(ended.code, self.begun.said + ended.said, ended.error)


VARIOUS = "task ID:|a task was|its history:|malformed database schema|no such column"
NOT_TEXT = "could not decode to utf-8 column|'utf-8' codec can't decode"


def _plain(line: str) -> str:
    """Without what differs from case to case."""
    for pattern, plain in (
        (r"at step \d+", "at step N"),
        (r"(task|candidate) \S{16}(?=:| )", r"\1 ID"),
        (rf"({VARIOUS}).*(?=; it is)", r"\1 …"),
        (rf"({NOT_TEXT}).*(?=; it is)", "not UTF-8"),
    ):
        line = re.sub(pattern, plain, line, flags=re.IGNORECASE)
    return line


def before(thing: object, name: str, number: int, act: Callable[[], None]) -> None:
    """Act right before a method, such as "epochs.add", is called for the n-th time."""
    *path, name = name.split(".")
    for part in path:
        thing = getattr(thing, part)
    method, calls = getattr(thing, name), itertools.count(1)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if next(calls) == number:
            act()
        return method(*arguments, **named)

    setattr(thing, name, wrapped)


# Full disks

PLACES = {  # where -> a method of the store that is called there, and which call of it
    "add_groups": ("add_groups", 6),
    "end_epoch": ("epochs.close", 2),
    "_begin_epoch": ("epochs.add", 3),
    "synthesis": ("has_task", 4),
}


def full_disk(desk: Desk) -> None:
    """A small disk that somebody else fills up, or a limit on the size of files."""
    leaves = (0, 16) if desk.short else (0, 4, 8, 12, 16, 24, 32, 48, 64)
    for (where, (method, call)), leave in itertools.product(PLACES.items(), leaves):
        with small_disk(desk) as disk:
            folder = disk / "run" if disk else desk.folder()

            def hook(store: Store) -> None:
                def fill() -> None:
                    ballast(disk, leave) if disk else limit(store, leave)  # noqa: B023

                before(store, method, call, fill)  # noqa: B023

            ended = Child(train, folder, 0, hook).end()
            if disk:
                again = Child(train, folder, ended.step).end()
                desk.seen("disk full, and still full when it is resumed", again, folder)
                (disk / "ballast").unlink()
            desk.note(f"disk full in `{where}`", ended, folder)


@contextmanager
def small_disk(desk: Desk, size: str = "1m") -> Iterator[Path | None]:
    """A disk of its own, or None where there can be none."""
    place = desk.root / "disk"
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if desk.short or os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def ballast(disk: Path, leave: int) -> None:
    """Fill a disk up, but for so many kilobytes."""
    file = os.open(disk / "ballast", os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while True:
            os.write(file, bytes(4096))
    os.ftruncate(file, max(0, os.fstat(file).st_size - 1024 * leave))
    os.close(file)


def limit(store: Store, leave: int) -> None:
    """No file may grow by more than so many kilobytes."""
    size = (store.folder / f"{FILE}-wal").stat().st_size + 1024 * leave
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


# Folders that cannot be written


def unwritable(desk: Desk) -> None:
    """Neither the folder nor what is in it."""
    killed = desk.folder()
    Child(train, killed, 0, lambda store: before(store, "add_groups", HALF, die)).end()
    lost = desk.copy(killed)
    (lost / f"{FILE}-shm").unlink()
    closed = desk.copy(desk.half)
    for folder in (killed, lost, closed):
        _permit(folder, 0o444)
    ended = Child(obeying, train, closed, HALF).end()
    again = Child(obeying, command, "train", "--preset", "tiny", "--run", closed).end()
    desk.seen("folder cannot be written: `rods train`", again, closed)
    for name, folder in (("closed", closed), ("killed", killed), ("killed, -shm lost", lost)):
        read = Child(obeying, command, "doctor", folder).end()
        desk.seen(f"folder cannot be written: `rods doctor` on a run that was {name}", read, folder)
    for folder in (killed, lost, closed):
        _permit(folder, 0o644)
    desk.note("folder cannot be written", desk.after(ended), closed)


def _permit(folder: Path, mode: int) -> None:
    """Give the folder's files this mode, and the folder the same with the right to enter it."""
    for path in folder.rglob("*"):
        path.chmod(mode | 0o111 if path.is_dir() else mode)
    folder.chmod(mode | 0o111)


def obeying(work: Callable[..., object], *arguments: Any) -> None:
    """Do it in this process, to which permissions apply, also if it is root's."""
    libc, header = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(CAPABILITIES, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice
    if not os.getuid():
        assert libc.capget(header, sets) == 0
        sets[0] &= ~OVERRIDES
        sets[1] &= ~OVERRIDES
        assert libc.capset(header, sets) == 0
    work(*arguments)


# Other processes that hold the file


def locked(desk: Desk) -> None:
    """Another program has begun to write; a worker has, and stands still."""
    moment = 4 * database.PATIENCE / 10
    for name, seconds in (("for a moment", moment), ("without end", 999.0)):
        folder = desk.copy(desk.half)
        holding = Child(hold, folder, seconds)
        holding.wait("locked")
        ended = Child(train, folder, HALF).end()
        holding.kill().end()
        desk.note(f"file locked by another program {name}", desk.after(ended), folder)
    folder = desk.copy(desk.half)
    worker = Child(hold_as_worker, folder)
    worker.wait("locked")
    worker.kill(signal.SIGSTOP)
    ended = Child(train, folder, HALF).end()
    desk.note("file locked by a worker that is stopped", desk.after(ended), folder)
    if worker.kill().end().code != -signal.SIGKILL:
        desk.rows["file locked by a worker that is stopped"].wrong["the worker lives"] += 1


def hold(folder: Path, seconds: float) -> None:
    db = sqlite3.connect(folder / FILE, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    say(locked=True)
    time.sleep(seconds)
    db.execute("ROLLBACK")


def hold_as_worker(folder: Path) -> None:
    store = Store(folder, role="worker")
    with store.transaction():
        say(locked=True)
        time.sleep(999)


# Damaged files


def truncated(desk: Desk) -> None:
    """The file of a closed run, cut off."""
    size = (desk.half / FILE).stat().st_size
    lengths = {0, 1, 100, 4095, 4096, size // 2, size - 4096, size - 1}
    lengths |= set() if desk.short else {*range(8192, size, 4096)}
    for length in sorted(lengths):
        damaged(desk, "file truncated", lambda data, length=length: data[:length])


def overwritten(desk: Desk) -> None:
    """Pages of a closed run."""
    size, rng = (desk.half / FILE).stat().st_size, random.Random(0)
    for page in range(0, size, 4096 * (9 if desk.short else 1)):
        for filler in (bytes(4096), rng.randbytes(4096)):
            damaged(desk, "page overwritten", lambda data, page=page, filler=filler:
                    data[:page] + filler + data[page + 4096 :])  # fmt: skip


def flipped(desk: Desk) -> None:
    """Single bytes of a closed run."""
    data, rng = (desk.half / FILE).read_bytes(), random.Random(0)
    places = [place for place, byte in enumerate(data) if byte]  # most pages are hardly filled
    for place in rng.sample(places, 20 if desk.short else 1000):
        change = rng.randrange(1, 256)
        damaged(desk, "one byte altered", lambda data, place=place, change=change:
                data[:place] + bytes([data[place] ^ change]) + data[place + 1 :])  # fmt: skip


def damaged(desk: Desk, fault: str, change: Callable[[bytes], bytes]) -> None:
    """Go on with a damaged file, then with what it was before."""
    folder = desk.copy(desk.half)
    sound = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(change(sound))
    ended = Child(train, folder, HALF).end()
    if not ended.code and differs(desk, folder):
        fault += ", which nobody can tell"
    for name in os.listdir(folder):
        (folder / name).unlink()
    (folder / FILE).write_bytes(sound)
    desk.note(fault, desk.after(Ended(ended.code, [], ended.error)), folder)
    shutil.rmtree(folder)


def differs(desk: Desk, folder: Path) -> bool:
    try:
        return desk.content(folder) != desk.whole
    except UserError:
        return False


# The write-ahead log of a run that was killed


def torn(desk: Desk) -> None:
    """Its last bytes are missing, or are rubbish."""
    killed = desk.folder()
    ended = Child(train, killed, 0, lambda store: before(store, "add_groups", END - 2, die)).end()
    log = (killed / f"{FILE}-wal").read_bytes()
    rng, ends = random.Random(0), [word["log"] for word in ended.said]
    assert ends == sorted(ends) and ends[-1] <= len(log), "the log was folded in meanwhile"
    places = {place for end in ends[:: 6 if desk.short else 1] for place in (end - 1, end, end + 1)}
    places |= {rng.randrange(len(log) + 1) for _ in range(6 if desk.short else 300)} | {0, 32}
    for place in sorted(place for place in places if place <= len(log)):
        said = [word for word in ended.said if word["log"] <= place]
        for name, rest in (("cut", b""), ("overwritten", rng.randbytes(len(log) - place))):
            folder = desk.copy(killed)
            (folder / f"{FILE}-shm").unlink()
            (folder / f"{FILE}-wal").write_bytes(log[:place] + rest)
            fault = f"end of the log {name} after the trainer was killed"
            desk.note(fault, Ended(ended.code, said, ""), folder)
            shutil.rmtree(folder)
    folder = desk.copy(killed)
    away = (folder / f"{FILE}-wal").rename(desk.root / "away")
    (folder / f"{FILE}-shm").unlink()
    refused = Child(train, folder, ended.step).end()
    for name in os.listdir(folder):
        (folder / name).unlink()
    shutil.copyfile(killed / FILE, folder / FILE)
    away.rename(folder / f"{FILE}-wal")
    desk.note("log deleted after the trainer was killed, and put back", Ended(
        refused.code, ended.said, refused.error), folder)  # fmt: skip


# Processes that die


def killed(desk: Desk) -> None:
    """The trainer, before, inside and after each transaction of a run, and of a taking up."""
    counted = Child(train, desk.folder(), 0, lambda store: in_transactions(store, 0, "")).end()
    names = [word["name"] for word in counted.said if "name" in word]
    each = {name: number for number, name in enumerate(names, 1)}  # the last of each
    chosen = each.values() if desk.short else range(1, len(names) + 1)
    for number, moment in itertools.product(chosen, MOMENTS):
        folder = desk.folder()
        ended = Child(train, folder, 0, lambda s: in_transactions(s, number, moment)).end()  # noqa: B023
        desk.note(f"trainer killed in `{names[number - 1]}`", ended, folder)
        shutil.rmtree(folder)
    for number, moment, back in itertools.product((1, 2), MOMENTS, (0, 3, HALF - 1)):
        folder = desk.copy(desk.half)
        ended = Child(train, folder, back, lambda s: in_transactions(s, number, moment)).end()  # noqa: B023
        said = [w for w in desk.begun.said if w.get("step", END) <= back]
        desk.note("trainer killed while it goes back", Ended(ended.code, said, ""), folder)


MOMENTS = ("before", "inside", "after")


def in_transactions(store: Store, number: int, moment: str) -> None:
    """Tell of each transaction, and die at the one of that number."""
    real, calls = store.transaction, itertools.count(1)

    def transaction(**how: Any) -> Any:
        name, mine = sys._getframe(1).f_code.co_name, next(calls) == number
        return _dying(partial(real, **how), name, moment if mine else "")

    store.transaction = transaction  # type: ignore[method-assign]


@contextmanager
def _dying(real: Callable[[], Any], name: str, moment: str) -> Iterator[None]:
    if moment == "before":
        die()
    with real():
        yield
        if moment == "inside":
            die()
    if moment == "after":
        die()
    say(name=name)


def killed_worker(desk: Desk) -> None:
    """A worker, before, inside and after each transaction of its jobs."""
    begun = desk.folder()
    first = Child(train_beside, begun, None, 4).end()
    counted = Child(work, desk.copy(begun), 0, "").end()
    assert [first.code, counted.code] == [0, 0] and counted.tasks, counted
    names = [word["name"] for word in counted.said if "name" in word]
    for number, moment in itertools.product(range(1, len(names) + 1), MOMENTS):
        folder = desk.copy(begun)
        ended = Child(work, folder, number, moment).end()
        said = [*first.said, *ended.said]
        again = [Child(work, folder, 0, "").end(), Child(train_beside, folder, None, 8, 4).end()]
        fault = f"worker killed in `{names[number - 1]}`"
        desk.note(fault, Ended(ended.code, said, ended.error), folder, inline=False)
        made = len(desk.content(folder)[6])
        if [one.code for one in again] != [0, 0] or made < len(counted.tasks):
            desk.rows[fault].wrong["its jobs were not done"] += 1


def work(folder: Path, number: int, moment: str) -> None:
    """All jobs, as a worker does them."""
    store = Store(folder, role="worker")
    in_transactions(store, number, moment)
    queue = store.queue
    producer = Producer(store, RenamingSynthesis(), BACKGROUND)
    producer.catch_up()
    before_ids = {task.id for task in queue.candidates()}
    for job in queue.open_jobs(store.epochs.last_index()):
        producer.do(job, store.last_step())
        made = {task.id for task in queue.candidates()} - before_ids
        before_ids |= made
        say(tasks=sorted(made))
    store.close()


def bad_worker(desk: Desk) -> None:
    """A worker that never comes up, and one that hangs: the trainer goes on without."""
    for name, script in (
        ("dies at every start", "import sys; sys.exit('rods: no such model')"),
        ("hangs", "import time; time.sleep(999)"),
    ):
        folder = desk.folder()
        ended = Child(train_beside, folder, script, END).end()
        desk.note(f"worker that {name}", ended, folder, inline=False)


def train_beside(folder: Path, script: str | None, until: int, step: int = 0) -> None:
    """A background run, with a worker that runs a script if there is one."""
    store = Store(folder)
    loop = Loop(BACKGROUND, store, SEEDS, step=step)
    if script is None:
        go_on(loop, until)
    else:
        watched = Supervisor(
            [sys.executable, "-c", script],
            restarts=2,
            silence=0.5,
            notice=lambda line: print(line, file=sys.stderr, flush=True),
            pause=0.05,
        ).start()
        go_on(loop, until // 2)
        while not watched.state.gave_up:
            time.sleep(0.01)
        go_on(loop, until)
        watched.close()
    store.close()


# Clocks


def clock(desk: Desk) -> None:
    """The clock is set back by a day in the middle of a run, and on by two, beside a worker."""
    folder, stamp = desk.folder(), desk.root / "clock"
    stamp.write_text("+0d")
    faked = Path(FAKE_CLOCK).exists()
    variables = {
        "LD_PRELOAD": FAKE_CLOCK, "FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, __file__, "--clock", str(folder), str(stamp)],
        env={**os.environ, **(variables if faked else {})},
        capture_output=True,
        text=True,
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    jumps = [word["jump"] for word in said if "jump" in word]
    fault = "clock set back by a day, then on by two" + ("" if faked else " (in Python only)")
    desk.note(fault, Ended(done.returncode, said, done.stderr), folder, inline=False)
    if [round(jump / 3600) for jump in jumps] != [-24, 48]:
        desk.rows[fault].wrong[f"the clock did not jump: {jumps}"] += 1


def clocked(folder: Path, stamp: Path) -> None:
    """A background run with a worker that says something every 0.1 s."""

    def set_clock(days: int) -> None:
        was = time.time()
        stamp.write_text(f"{days:+d}d")
        if FAKE_CLOCK not in os.environ.get("LD_PRELOAD", ""):
            real = time.time
            time.time = lambda: real() + 86400 * (days if days < 0 else days + 1)
        say(jump=time.time() - was)

    time.sleep = threading.Event().wait  # which the library breaks
    store, told = Store(folder), list[str]()
    before(store, "add_groups", 5, lambda: set_clock(-1))
    before(store, "add_groups", 9, lambda: set_clock(1))
    before(store, "epochs.close", 2, lambda: time.sleep(1.0))
    script = """if True:
        import threading
        while not threading.Event().wait(0.1):
            print("{}", flush=True)
    """
    with_worker = Supervisor(
        [sys.executable, "-c", script], restarts=0, silence=30.0, notice=told.append
    ).start()
    go_on(Loop(BACKGROUND, store, SEEDS), END)
    with_worker.close()
    store.close()
    if told:
        raise UserError(f"{folder}: {told[-1]}")


# The command itself

RODS = str(Path(sys.executable).with_name("rods"))
SETTINGS = {
    "steps": 6, "checkpoint_steps": 1, "stages": "[{reward: progress}]", "pool.seeds": 8,
    "rollout.tasks_per_step": 2, "optimizer.microbatch": 8, "policy.indices": 12,
}  # fmt: skip


def commands(desk: Desk) -> None:
    """`rods train`: the disk fills up, the file is locked, damaged."""
    whole = desk.folder()
    rods = Command(desk, whole)
    assert rods.start(whole).end().code == 0
    with small_disk(desk, "260m") as disk:
        for leave, where in ((0, ""), (150, ", with room for the store and not for a checkpoint")):
            if disk:
                folder = disk / "run"
                process = rods.start(folder)
                process.until_step(2)
                ballast(disk, leave)
                ended = process.end()
                (disk / "ballast").unlink()
                rods.note(f"`rods train`: disk full{where}", ended, folder)
                shutil.rmtree(folder)
    folder = desk.copy(whole)
    holding = Child(hold, folder, 999.0)
    holding.wait("locked")
    ended = rods.start(folder).end()
    holding.kill().end()
    rods.note("`rods train`: file locked without end", ended, folder)
    sound = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(sound[: len(sound) // 2])
    ended = rods.start(folder).end()
    for file in folder.glob(f"{FILE}*"):
        file.unlink()
    (folder / FILE).write_bytes(sound)
    rods.note("`rods train`: file truncated", ended, folder)


@dataclass
class Command:
    """The real `rods train`."""

    desk: Desk
    whole: Path

    def start(self, folder: Path) -> Running:
        changes = [part for k, v in SETTINGS.items() for part in ("--set", f"{k}={v}")]
        env = {**os.environ, "RODS_CACHE": str(self.desk.root / "cache"), "OMP_NUM_THREADS": "1"}
        line = [RODS, "train", "--preset", "tiny", "--run", str(folder), *changes]
        pipe = subprocess.PIPE
        return Running(
            folder,
            subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=pipe, text=True, env=env),
        )

    def note(self, fault: str, ended: Ended, folder: Path) -> None:
        """As `Desk.note`; a line of metrics is what the command acknowledges."""
        row = self.desk.seen(fault, ended, folder)
        row.groups += 2 * ended.step
        store = Store(folder, role="reader")
        row.lost += max(0, 2 * ended.step - len(store.groups()))
        store.close()
        again = self.start(folder).end()
        if again.code or self.desk.content(folder) != self.desk.content(self.whole):
            row.wrong[again.error.strip()[-200:] or "it ended as another run"] += 1
        if Child(command, "doctor", folder).end().code:
            row.wrong["`rods doctor` finds faults"] += 1


@dataclass
class Running:
    """A command that runs."""

    folder: Path
    process: subprocess.Popen[str]

    def step(self) -> int:
        metrics = self.folder / "metrics.jsonl"
        return metrics.read_bytes().count(b"\n") if metrics.exists() else 0

    def until_step(self, step: int) -> None:
        while self.step() < step and self.process.poll() is None:
            time.sleep(0.02)

    def end(self) -> Ended:
        error = self.process.communicate()[1]
        return Ended(self.process.returncode, [{"step": self.step()}], error)


FAULTS = (
    full_disk, unwritable, locked, truncated, overwritten, flipped, torn, killed, killed_worker,
    bad_worker, clock, commands,
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="fewer places, no real command")
    parser.add_argument("--only", nargs="*", choices=[fault.__name__ for fault in FAULTS])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--clock", type=Path, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.clock:
        return _run(clocked, *args.clock)
    if args.short:
        database.PATIENCE, database.MOST_PATIENCE = 0.3, 1.0
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        desk = Desk(Path(root), args.short)
        print(HEAD, flush=True)
        for fault in FAULTS:
            if fault.__name__ in (args.only or [fault.__name__]):
                known = set(desk.rows)
                if not (args.short and fault is commands):
                    fault(desk)
                for row in desk.rows.values():
                    if row.fault not in known:
                        print(row.markdown(), flush=True)
    rows = list(desk.rows.values())
    if args.out:
        args.out.write_text(json.dumps([row.json() for row in rows], indent=1) + "\n")
    fine = all(row.fine for row in rows)
    print("nothing is lost" if fine else "SOMETHING IS WRONG")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
