"""Runs that are killed at random moments and resumed, compared with runs that were not.

Each run is the command `rods train` with a very small policy. It is killed by SIGKILL once or
several times: the trainer, or one of its children (a worker of the guard; in background mode the
synthesis worker too). Whenever the trainer was killed the same command is given again, until it is
done. Half of the moments are drawn evenly over the time that an uninterrupted run takes, its start
included; the others are those right after something in the run's folder changes.

inline: everything that a run leaves must be what the uninterrupted run of the same settings left:
all tables, metrics, summary, file names and the policy's weights; times are left out.

background: such a run is another one each time. After each kill and at the end no candidate and no
group up to a checkpoint may be missing or altered, and no task injected twice or without being a
candidate; the run must finish, `rods doctor` find nothing, and no process be left.

Most processes are forked from one that has imported the libraries, which saves seconds a start, and
call the command's own entry point in a session of their own; every tenth run is the command as
anybody gives it. A call may take a minute here, so that a busy machine makes no difference.

    python benchmarks/kill_test.py --runs 100 --seed 0 --out benchmarks/results/kill-inline.json
    python benchmarks/kill_test.py --runs 50 --seed 0 --mode background
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, zip_longest
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from rods.metrics import untimed

ROOT = Path(__file__).resolve().parent.parent
RODS = str(Path(sys.executable).with_name("rods"))
OWNER = "RODS_KILL_TEST"  # environment variable that tells whose child a process is
IMPORTED = [  # by the process that the others are forked from
    "trl.trainer.grpo_trainer", "rods.cli", "rods.run", "rods.cli.display", "rods.trainers.trl",
    "rods.micro.model", "rods.micro.policy", "rods.report.page",
]  # fmt: skip
COMMON = {
    "steps": 12,
    "checkpoint_steps": 3,
    "stages": "[{reward: progress}]",
    "rollout.tasks_per_step": 2,
    "optimizer.microbatch": 8,
    "pool.stale_epochs": 1,
    "environment.limits.seconds": 60,
}
BFCL = {"pool.seeds": 8, "policy.indices": 12}
CLINIC = ("--env", "examples.clinic.tools:Clinic", "--tasks", "examples/clinic/tasks.yaml")
CASES: dict[str, tuple[int, Sequence[str], dict[str, Any]]] = {  # seed, options, settings
    "mean": (1, (), {**BFCL, "boundary.rule": "mean", "boundary.low": 0.02, "pool.rest_epochs": 1}),
    "posterior": (
        2,
        CLINIC,
        {"boundary.rule": "posterior", "boundary.low": 0.05, "pool.rest_epochs": 1},
    ),
    "variance": (3, CLINIC, {"checkpoint_steps": 5}),
    "random": (4, (), {**BFCL, "boundary.rule": "random", "environment.limits.workers": 2}),
}
BACKGROUND = {"synthesis.mode": "background", "steps": 40, "checkpoint_steps": 5}
AIMS = {  # files, the more often the more dangerous
    "inline": (
        *["run.sqlite-wal", "checkpoints/*/*"] * 2,
        *["metrics.jsonl", "summary.json*", "*report.html*"],
    ),
    "background": (*["run.sqlite-wal"] * 4, "checkpoints/*/*", "summary.json*"),
}
VICTIMS = {
    "inline": ("trainer", "trainer", "guard"),
    "background": ("trainer", "trainer", "worker", "worker", "guard"),
}
MARKS = {"guard": b"rods.envs.worker", "worker": b"--follow"}  # in their command lines
WHOLE = "complete"  # the file that is written last into a checkpoint
BLOWS = {"inline": (1, 1, 1, 2, 2, 3), "background": (2, 3, 4, 5)}
LOOK = 0.002  # seconds between two looks at a folder or a process
HANGS = 600.0  # seconds after which a process is taken to hang
GRACE = 30.0  # seconds in which a run's children end after it

Rows = dict[str, list[Any]]
FORKS = multiprocessing.get_context("forkserver")
LOCK = Lock()  # two threads must not look at forked processes at the same time


class Process:
    """The command in a process of its own.

    Args:
        folder: the run's; its children carry it in their environment.
        forked: or as anybody would start it.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, *, forked: bool) -> None:
        self.began, log = time.monotonic(), folder.with_suffix(".log")
        self.process: Any
        if forked:
            self.process = FORKS.Process(target=command, args=(arguments, str(folder), str(log)))
            with LOCK:
                self.process.start()
        else:
            with log.open("a") as out:
                self.process = subprocess.Popen(
                    [RODS, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    cwd=ROOT,
                    env={**os.environ, OWNER: str(folder)},
                    start_new_session=True,
                )
        self.pid = int(self.process.pid)

    @property
    def age(self) -> float:
        return time.monotonic() - self.began

    def ended(self) -> int | None:
        """Its exit code, or None while it runs."""
        if isinstance(self.process, subprocess.Popen):
            return self.process.poll()
        with LOCK:
            code: int | None = self.process.exitcode
        return code

    @property
    def lives(self) -> bool:
        """Whether it runs and does not seem to hang."""
        return self.ended() is None and self.age < HANGS

    def wait(self) -> int:
        """Its exit code. One that hangs is killed."""
        while (code := self.ended()) is None:
            if self.age > HANGS:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(LOOK)
        return code

    def strike(self, victim: str) -> str:
        """Kill it or one of its children, and tell which: itself, where the victim is not there."""
        pids = children(self.pid, MARKS[victim]) if victim in MARKS else []
        with suppress(ProcessLookupError):
            os.kill(random.choice(pids) if pids else self.pid, signal.SIGKILL)
        return victim if pids else "trainer"


def command(arguments: Sequence[str], folder: str, log: str) -> None:
    """What a forked process does."""
    from rods.cli import main

    os.setsid()
    os.chdir(ROOT)
    os.environ[OWNER] = folder
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(out, standard)
    sys.argv = ["rods", *arguments]
    main()


def children(parent: int, mark: bytes) -> list[int]:
    """Living children of a process with a mark in their command line."""
    marked = [pid for pid, line in _proc("cmdline") if mark in line]
    parents = {pid: stat.rsplit(b")", 1)[1].split()[1] for pid, stat in _proc("stat")}
    return [pid for pid in marked if parents.get(pid) == str(parent).encode()]


def left(folder: Path) -> str:
    """Command lines of the processes that a run has left, after some time to end; or ""."""
    text, until = str(folder).encode(), time.monotonic() + GRACE
    while True:
        pids = {pid for what in ("environ", "cmdline") for pid, told in _proc(what) if text in told}
        if not pids:
            return ""
        if time.monotonic() > until:
            lines = [
                line.replace(b"\0", b" ").decode() for p, line in _proc("cmdline") if p in pids
            ]
            return f"left behind: {lines}"
        time.sleep(0.05)


def _proc(what: str) -> Iterator[tuple[int, bytes]]:
    for place in Path("/proc").glob("[0-9]*"):
        try:
            yield int(place.name), (place / what).read_bytes()
        except OSError:  # it has ended
            continue


def tables(folder: Path) -> Rows:
    """All rows of a run's file at one moment, in the order of writing, without times.

    The file stays as it is: whoever opens it next finds it as a killed process left it.
    """
    path, found = folder / "run.sqlite", Rows()
    if not path.exists():
        return found
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    db.row_factory = sqlite3.Row
    try:
        db.execute("BEGIN")
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            found[table] = [untimed(dict(row)) for row in db.execute(f"SELECT * FROM {table}")]
    finally:
        db.close()
    return found


def everything(folder: Path) -> Rows:
    """All that a finished run leaves, without times."""
    found = tables(folder)
    found["meta"].sort(key=lambda row: row["key"])  # some are written at each start
    for row in found["metrics"]:
        row["line"] = untimed(json.loads(row["line"]))
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    found["metrics.jsonl"] = [untimed(json.loads(line)) for line in lines]
    found["summary.json"] = list(untimed(json.loads((folder / "summary.json").read_text())).items())
    names = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    found["files"] = sorted(name for name in names if not name.startswith(".report.html."))
    weights = (folder / "checkpoints").glob("*/model.safetensors")
    found["weights"] = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in weights)
    return found


def difference(found: Rows, expected: Rows) -> str:
    """The first difference, or ""."""
    for part in sorted(found.keys() | expected.keys()):
        pairs = zip_longest(found.get(part, ()), expected.get(part, ()))
        for place, (one, other) in enumerate(pairs):
            if one != other:
                return f"{part} {place}: {str(one)[:400]} instead of {str(other)[:400]}"
    return ""


@dataclass
class Kept:
    """What is never to change again in a run in background mode.

    Attributes:
        candidates: id -> its row, and the task.
        history: groups and events up to the newest checkpoint.
    """

    candidates: dict[str, Any] = field(default_factory=dict)
    history: Rows = field(default_factory=dict)

    def look(self, folder: Path) -> str:
        """The first thing that is wrong, or ""; what is new there is kept too."""
        step = checkpoint(folder)  # before the tables, which may go on
        found = tables(folder)
        tasks = {row["id"]: row for row in found.get("tasks", ())}
        rows = {row["id"]: row for row in found.get("candidates", ())}
        candidates = {i: (row, tasks.get(i)) for i, row in rows.items()}
        for task_id, row in self.candidates.items():
            if candidates.get(task_id) != row:
                return f"candidate {task_id}: {candidates.get(task_id)} instead of {row}"
        same = {t: found.get(t, [])[: len(known)] for t, known in self.history.items()}
        if fault := difference(same, self.history):
            return fault
        injected = [e["task_id"] for e in found.get("events", ()) if e["kind"] == "injected"]
        if len(injected) > len(set(injected)):
            return f"injected twice: {[i for i, n in Counter(injected).items() if n > 1]}"
        if strangers := set(injected) - set(rows):
            return f"injected and no candidates: {strangers}"
        self.candidates = candidates
        for table in ("groups", "events"):
            self.history[table] = [r for r in found.get(table, ()) if r["step"] <= step]
        return ""


def checkpoint(folder: Path) -> int:
    """Step of the newest whole checkpoint, or 0."""
    found = (folder / "checkpoints").glob(f"checkpoint-*/{WHOLE}")
    return max((int(path.parent.name.rsplit("-", 1)[1]) for path in found), default=0)


class Kill(NamedTuple):
    """A blow that is planned.

    Attributes:
        share: of the run's time that passes before, or with an aim of its steps.
        aim: files of the folder of which one has to change after that, or "".
        late: seconds that pass after the change.
    """

    victim: str
    share: float
    aim: str
    late: float


def draw(rng: random.Random, mode: str) -> list[Kill]:
    """The blows for one run; those that are left after the trainer's death are for its next life.

    Each share is of what is left after the one before, so that all are spread evenly.
    """
    blows = rng.choice(BLOWS[mode])
    plan = []
    for left_over in range(blows, 0, -1):
        share = 1 - rng.random() ** (1 / left_over)
        aim, late = rng.choice(["", rng.choice(AIMS[mode])]), rng.choice([0.0, 0.05 * rng.random()])
        plan.append(Kill(rng.choice(VICTIMS[mode]), share, aim, late))
    return plan


def _look(folder: Path, aim: str) -> set[tuple[Path, int, int]]:
    """What changes when one of some files is written."""
    found = set()
    for path in folder.glob(aim):
        with suppress(OSError):
            stat = path.stat()
            found.add((path, stat.st_size, stat.st_mtime_ns))
    return found


def steps(folder: Path) -> int:
    """How many steps are behind a run, as it tells."""
    metrics = folder / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def torn(folder: Path) -> list[str]:
    """What was being written in a run that was just killed."""
    metrics, parts = folder / "metrics.jsonl", folder / "checkpoints"
    found = ["checkpoint" for p in parts.glob("checkpoint-*") if not (p / WHOLE).exists()]
    found += ["summary" for _ in folder.glob("summary.json.part")]
    found += ["report" for _ in folder.glob(".report.html.*")]
    text = metrics.read_bytes() if metrics.exists() else b""
    return found + (["metrics"] if text and not text.endswith(b"\n") else [])


@dataclass
class Trial:
    """One run and what happens to it.

    Attributes:
        kills: that hit, each with the time in the process' life and the step that was reached.
        starts: of the command.
        history: events of the pool by kind.
        fault: the first thing that is wrong, or "".
    """

    case: str
    mode: str
    folder: Path
    forked: bool
    more: Sequence[str] = ()
    kills: list[dict[str, Any]] = field(default_factory=list)
    starts: int = 0
    seconds: float = 0.0
    history: dict[str, int] = field(default_factory=dict)
    fault: str = ""
    kept: Kept = field(default_factory=Kept)

    @property
    def settings(self) -> dict[str, Any]:
        """Those that differ from the preset."""
        return COMMON | CASES[self.case][2] | (BACKGROUND if self.mode == "background" else {})

    def arguments(self) -> list[str]:
        """Of `rods`."""
        seed, options, _ = CASES[self.case]
        changes = [part for k, v in self.settings.items() for part in ("--set", f"{k}={v}")]
        told = ["train", "--preset", "tiny", "--run", str(self.folder), "--seed", str(seed)]
        return [*told, *options, *changes, *self.more]

    def run(self, plan: Sequence[Kill] = (), usual: float = 0.0) -> None:
        """Run to the end, however often it is killed.

        Args:
            usual: seconds that it takes uninterrupted.
        """
        began, planned, code = time.monotonic(), list(plan), -1
        while code and not self.fault:
            process = Process(self.arguments(), self.folder, forked=self.forked)
            self.starts += 1
            killed = self._suffer(process, planned, usual)
            code = process.wait()
            if code and not (killed and code == -signal.SIGKILL):
                self.fault = f"exit code {code}: {self._last_words()}"
            if not self.fault and (not code or random.random() < 0.5):
                self.fault = left(self.folder)  # or the next life begins at once
        self.seconds = round(time.monotonic() - began, 2)
        self.history = Counter(event["kind"] for event in tables(self.folder).get("events", ()))
        if not self.fault and self.mode == "background":
            self.fault = self.kept.look(self.folder) or _given_up(self.folder) or _ill(self.folder)

    def _suffer(self, process: Process, planned: list[Kill], usual: float) -> bool:
        """Carry out the plan; returns whether the trainer was killed."""
        while planned and not self.fault:
            kill = planned.pop(0)
            if not self._await(kill, process, usual):
                return False
            age, victim = round(process.age, 3), process.strike(kill.victim)
            if victim == "trainer" and process.wait() != -signal.SIGKILL:  # it was faster
                return False
            told = {"victim": victim, "second": age, "aim": kill.aim}
            told |= {"step": steps(self.folder), "torn": torn(self.folder)}
            self.kills.append(told)
            if self.mode == "background":
                self.fault = self.kept.look(self.folder)
            if victim == "trainer":
                return True
        return False

    def _await(self, kill: Kill, process: Process, usual: float) -> bool:
        """Until the moment has come; False if the process ends before."""
        done, last = steps(self.folder), self.settings["steps"]
        moment = process.age + kill.share * max(0.0, usual - process.age)
        step = done + kill.share * (last - done)
        while process.lives and (steps(self.folder) < step if kill.aim else process.age < moment):
            time.sleep(LOOK)
        if kill.aim:
            before = _look(self.folder, kill.aim)
            while process.lives and _look(self.folder, kill.aim) == before:
                time.sleep(LOOK)
            time.sleep(kill.late)
        return process.lives

    def _last_words(self) -> str:
        return self.folder.with_suffix(".log").read_text("utf-8", "replace").strip()[-400:]

    def told(self) -> dict[str, Any]:
        """For the results."""
        names = ("case", "forked", "starts", "seconds", "kills", "history", "fault")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        told = [f"{k['victim']} at step {k['step']} ({k['second']:.1f} s)" for k in self.kills]
        way = "forked" if self.forked else "command"
        return f"{self.case}, {way}: {', '.join(told) or 'unbroken'}; {self.seconds:.1f} s"


def _given_up(folder: Path) -> str:
    """Whether the trainer gave up its worker, which was not killed as often as that."""
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    return str(summary.get("worker", {}).get("gave_up", ""))


def _ill(folder: Path) -> str:
    """What `rods doctor` has to say against a run."""
    told = [RODS, "doctor", str(folder), "--json"]
    done = subprocess.run(told, capture_output=True, text=True, cwd=ROOT)
    if not done.stdout:
        return f"doctor: {done.stderr}"
    return "; ".join(f"{c['check']}: {c['detail']}" for c in json.loads(done.stdout) if not c["ok"])


@dataclass
class Campaign:
    """Many runs, and the uninterrupted ones that they are compared with.

    Args:
        real: every so many runs are not forked; 0: none.

    Attributes:
        usual: (case, forked) -> seconds.
        expected: what each case leaves.
    """

    root: Path
    mode: str
    seed: int
    cases: Sequence[str]
    real: int
    usual: dict[tuple[str, bool], float] = field(default_factory=dict)
    expected: dict[str, Rows] = field(default_factory=dict)

    def unbroken(self, pool: Executor) -> list[Trial]:
        """Make the policies, then run each case once in each way in which it will be started."""
        short = ("--set", "steps=1")
        first = {CASES[c][1]: self._trial(c, f"first-{c}", True, short) for c in self.cases}
        list(pool.map(Trial.run, first.values()))
        ways = (False, True) if self.real else (True,)
        trials = [self._trial(c, f"unbroken-{c}-{way}", way) for way in ways for c in self.cases]
        list(pool.map(Trial.run, trials))
        for trial in trials:
            self.usual[trial.case, trial.forked] = trial.seconds
            self._compare(trial)
        return trials

    def broken(self, number: int) -> Trial:
        """A run that was killed at least once: where all blows came too late, it is another one."""
        rng = random.Random(f"{self.seed} {number}")
        turn, rest = divmod(number, self.real) if self.real else (0, 1)
        case, forked = self.cases[(number + turn) % len(self.cases)], rest != 0
        for attempt in count():
            trial = self._trial(case, f"{number}-{attempt}", forked)
            trial.run(draw(rng, self.mode), self.usual[case, forked])
            self._compare(trial)
            if trial.kills or trial.fault:
                break
            shutil.rmtree(trial.folder)
        if not trial.fault:
            shutil.rmtree(trial.folder)
        return trial

    def _trial(self, case: str, name: str, forked: bool, more: Sequence[str] = ()) -> Trial:
        return Trial(case, self.mode, self.root / name, forked, more)

    def _compare(self, trial: Trial) -> None:
        if self.mode == "inline" and not trial.fault:
            found = everything(trial.folder)
            trial.fault = difference(found, self.expected.setdefault(trial.case, found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mode", choices=sorted(BLOWS), default="inline")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--cases", default=",".join(CASES), help="names, joined by commas")
    parser.add_argument(
        "--real", type=int, default=10, help="every so many are not forked; 0: none"
    )
    parser.add_argument("--out", type=Path, help="write the raw results as JSON")
    args = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="kill-"))
    os.environ |= {"RODS_CACHE": str(root / "cache"), "OMP_NUM_THREADS": "1"}
    FORKS.set_forkserver_preload(IMPORTED)
    campaign = Campaign(root, args.mode, args.seed, args.cases.split(","), args.real)
    fine = "equal" if args.mode == "inline" else "whole"
    trials: list[Trial] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        unbroken = campaign.unbroken(pool)
        for trial in unbroken:
            print(f"{trial}: {trial.fault or fine}", flush=True)
        if any(trial.fault for trial in unbroken):
            return 1
        jobs = [pool.submit(campaign.broken, number) for number in range(args.runs)]
        try:
            for job in as_completed(jobs):
                trials.append(trial := job.result())
                told = f"{trial.fault}\n    kept in {trial.folder}" if trial.fault else fine
                print(f"[{len(trials)}/{args.runs}] {trial}: {told}", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)
    if args.out:
        args.out.write_text(results(args.mode, args.seed, unbroken, trials))
    right = sum(not trial.fault for trial in trials)
    if right == args.runs:
        shutil.rmtree(root)
    print(f"{right} of {args.runs} {fine}")
    return 0 if right == args.runs else 1


def results(mode: str, seed: int, unbroken: Sequence[Trial], trials: Sequence[Trial]) -> str:
    """Sums, then the raw results, a line a run."""
    kills = [kill for trial in trials for kill in trial.kills]
    sums = {
        "mode": mode,
        "seed": seed,
        "runs": len(trials),
        "without fault": sum(not trial.fault for trial in trials),
        "forked": sum(trial.forked for trial in trials),
        "starts": sum(trial.starts for trial in trials),
        "kills": len(kills),
        "killed": Counter(kill["victim"] for kill in kills),
        "after a change of": Counter(kill["aim"] or "nothing" for kill in kills),
        "in the middle of": Counter(name for kill in kills for name in kill["torn"]),
        "after step": dict(sorted(Counter(kill["step"] for kill in kills).items())),
    }
    text = json.dumps(sums, indent=1)[:-2]
    for name, found in (("unbroken", unbroken), ("each", trials)):
        lines = ",\n  ".join(json.dumps(trial.told()) for trial in found)
        text += f',\n "{name}": [\n  {lines}\n ]'
    return text + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
