"""Commands on run folders: what cannot be used is one line that names it, never a traceback."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from commandline import refused
from doubles import begin, finish, go, make_config
from rods.curriculum.pool import Event
from rods.presets import load_config
from rods.processes import Stopper
from rods.run import Watch, _Run, train
from rods.store.identity import check_settings
from rods.store.store import Store


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of some epochs that went well."""
    loop = begin(make_config(2), tmp_path / "run")
    check_settings(loop.store, loop.config, tmp_path / "run")
    go(loop, 12)
    finish(loop)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["train", "--preset", "huge"], ["preset 'huge'", "micro", "tiny"]),
        (["train", "--set", "pool.size=3"], ["pool.size"]),
        (["train", "--set", "pool.beta"], ["--set pool.beta"]),
        (["train", "--set", "steps=0"], ["steps"]),
        (["train", "--arm", "best"], ["--arm best", "rods"]),
    ],
)
def test_bad_settings_make_no_run(rods, tmp_path: Path, args, named) -> None:
    refused(rods(*args, "--run", tmp_path / "run"), *named)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["arm", "seed"])
def test_a_run_of_other_settings_is_refused(rods, tmp_path: Path, key: str) -> None:
    store = Store(tmp_path)
    other = {"arm": "static", "seed": 5}[key]
    check_settings(store, load_config("tiny", **{key: other}), tmp_path)
    store.close()
    done = rods("train", "--preset", "tiny", "--run", tmp_path)
    refused(done, str(tmp_path), f"{key} = {json.dumps(other)}", "another folder")
    assert not (tmp_path / "metrics.jsonl").exists()


def test_every_setting_that_differs_is_named(rods, tmp_path: Path) -> None:
    store = Store(tmp_path)
    changes = ["pool.mastered=0.9", "rollout.attempts=3", "steps=99", "checkpoint_steps=7"]
    check_settings(store, load_config("tiny", changes), tmp_path)
    store.close()
    done = rods("train", "--preset", "tiny", "--run", tmp_path)
    refused(done, "rollout.attempts = 3, pool.mastered = 0.9, not 6, 0.95")
    assert "steps" not in done.err


def test_a_run_is_not_cut_short(rods, run: Path) -> None:
    store = Store(run)
    config = store.meta("config")
    store.set_meta("config", {**config, **load_config("tiny").model_dump(mode="json")})
    last = store.last_step()
    store.close()
    done = rods("train", "--preset", "tiny", "--run", run, "--set", f"steps={last - 1}")
    refused(done, f"steps = {last - 1}: the run has already reached step {last}")


def test_a_run_with_a_setting_that_is_gone_is_refused(rods, tmp_path: Path) -> None:
    store = Store(tmp_path)
    check_settings(store, load_config("tiny"), tmp_path)
    store.set_meta("config", {**store.meta("config"), "gone": 1})
    store.close()
    refused(rods("train", "--preset", "tiny", "--run", tmp_path), str(tmp_path), "gone")


def test_a_run_of_an_older_version_is_refused_in_one_sentence(rods, tmp_path: Path) -> None:
    store, run = Store(tmp_path), tmp_path
    config = {"rods": "0.1.0", **load_config("tiny").model_dump(mode="json")}
    config["micro"] = {"width": 48} | config.pop("policy")
    store.set_meta("config", config)
    store.close()
    done = rods("train", "--preset", "tiny", "--run", run)
    refused(done, f"{run}: begun by another version of rods", "(micro, policy); use another folder")
    assert len(done.err) < len(str(run)) + 120


def test_a_run_in_use_is_refused(rods, tmp_path: Path) -> None:
    store = Store(tmp_path)
    refused(rods("train", "--preset", "tiny", "--run", tmp_path), str(tmp_path), "another trainer")
    store.close()


@pytest.mark.parametrize("inside", [False, True])
def test_a_run_folder_that_is_a_file(rods, tmp_path: Path, inside: bool) -> None:
    (tmp_path / "file").write_text("mine")
    folder = tmp_path / "file" / "run" if inside else tmp_path / "file"
    refused(rods("train", "--preset", "tiny", "--run", folder), str(folder), "another folder")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "there"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("SafetensorError: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_disk_that_is_full(rods, tmp_path: Path, monkeypatch, error: Exception) -> None:
    """The real disk is filled in benchmarks/store_faults.py."""

    def fails(self) -> None:
        raise error

    monkeypatch.setattr(_Run, "go", fails)
    refused(rods("train", "--preset", "tiny", "--run", tmp_path), "no space left", "make room")


def test_other_errors_are_not_of_the_disk(tmp_path: Path, monkeypatch) -> None:
    def fails(self) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(_Run, "go", fails)
    with pytest.raises(OSError, match="Input/output"):
        train(load_config("tiny"), tmp_path, create_autospec(Watch), Stopper())


@pytest.mark.parametrize("command", ["report", "verify", "doctor"])
def test_no_run_there(rods, tmp_path: Path, command: str) -> None:
    refused(rods(command, tmp_path), str(tmp_path), "run.sqlite is missing")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_damaged_run_is_told(rods, run: Path, at: float) -> None:
    data = bytearray((run / "run.sqlite").read_bytes())
    page = int(at * len(data)) // 4096 * 4096
    data[page : page + 2 * 4096] = b"\xff" * 2 * 4096
    (run / "run.sqlite").write_bytes(data)
    for command in ("report", "verify"):
        done = rods(command, run)
        assert done.code in (0, 1) or refused(done, str(run)) is None
    done = rods("doctor", run)
    assert done.code == 2
    assert "BAD" in done.out or refused(done, str(run)) is None


def test_doctor_on_a_sound_run(rods, run: Path) -> None:
    done = rods("doctor", run, "--json")
    assert done.code == 0
    checks = {row["check"]: row for row in json.loads(done.out)}
    assert {"python", "benchmark", "tasks", "epochs", "pool", "candidates", "jobs"} <= set(checks)
    assert all(row["ok"] for row in checks.values())
    assert "BAD" not in rods("doctor", run).out


@pytest.mark.parametrize(
    ("command", "between"),
    [("doctor", "categories"), ("doctor", "iter_groups"), ("report", "funnel")],
)
def test_one_state_is_read_beside_a_trainer(
    rods, run: Path, monkeypatch: pytest.MonkeyPatch, command: str, between: str
) -> None:
    """A trainer that goes back while its store is read makes no contradictions."""

    def told() -> str:
        done = rods(command, run)
        assert done.code == 0, done.out
        if command == "report":
            return (run / "report.html").read_text()
        return re.sub("disk: .*", "", done.out)  # which may fill meanwhile

    whole, trainer, read = told(), Store(run), getattr(Store, between)

    def late(store: Store) -> object:
        found = read(store)
        trainer.rollback(2, queues=True)
        return found

    monkeypatch.setattr(Store, between, late)
    assert told() == whole
    assert trainer.last_step() == 2
    trainer.close()


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda s: s.add_events([Event(1, 0, "gone", "chosen")]), "BAD history: .*gone"),
        (
            lambda s: s.epochs.add(9, 9, ["gone"]),
            "BAD history: .*1 tasks of its order are not stored",
        ),
        (
            lambda s: s.add_events([e for e in s.events() if e.kind == "injected"][:1]),
            "BAD history: .*cannot be injected",
        ),
        (
            lambda s: s.db.write("UPDATE ends SET carried = '1/7' WHERE epoch = 0"),
            "BAD history: epoch 1: 1/7 of a task was carried over, its pool says 0",
        ),
        (
            lambda s: s.db.write("DELETE FROM ends WHERE epoch = 0"),
            r"BAD history: epoch 1: \d injected, at no end of an epoch",
        ),
        (
            lambda s: s.set_meta("config", make_config(pool={"beta": 0.1}).model_dump()),
            r"BAD history: epoch 1: \d injected, over 0",
        ),
        (
            lambda s: s.db.write("DELETE FROM events WHERE kind = 'injected'"),
            r"BAD history: .*\d tasks of its order are not stored",
        ),
        (
            lambda s: s.db.write("DELETE FROM events WHERE rowid = 1"),
            "BAD history: task .* was drawn and never in the pool",
        ),
        (
            lambda s: s.db.write("UPDATE events SET kind = 'woken' WHERE kind = 'injected'"),
            "BAD history: .*cannot be woken: it is not in the pool",
        ),
        (
            lambda s: s.db.write(
                "DELETE FROM events WHERE rowid ="
                " (SELECT MIN(rowid) FROM events WHERE kind = 'chosen')"
            ),
            "BAD jobs: .*; 1 differ from the choices that the events name",
        ),
        (
            lambda s: s.db.write("UPDATE events SET step = step + 1 WHERE kind = 'chosen'"),
            r"BAD (jobs|history): ",
        ),
        (
            lambda s: s.db.write("DELETE FROM candidates"),
            r"BAD candidates: 0 made, each matches its id; \d that were injected are missing",
        ),
    ],
)
def test_doctor_finds_what_is_wrong(rods, run: Path, harm, line: str) -> None:
    store = Store(run)
    harm(store)
    store.close()
    done = rods("doctor", run)
    assert done.code == 2
    assert re.search(line, done.out)


@pytest.mark.parametrize("config", [{"arm": "best"}, {"pool": {"beta": 7}}, {"new": 1}])
def test_doctor_on_settings_it_does_not_know(rods, run: Path, config: object) -> None:
    store = Store(run)
    store.set_meta("config", config)
    store.close()
    done = rods("doctor", run)
    assert done.code == 2
    assert "BAD config: " in done.out or done.err.startswith("rods: ")


def test_doctor_on_a_kind_of_policy_that_is_gone(rods, run: Path) -> None:
    store = Store(run)
    store.set_meta("config", {**store.meta("config"), "policy": {"name": "gone:Kind"}})
    store.close()
    done = rods("doctor", run)
    assert done.code == 2 and not done.err
    assert "BAD policy: policy.name: gone cannot be imported: ModuleNotFoundError" in done.out
    others = [line for line in done.out.splitlines() if "policy" not in line]
    assert {"ok  tasks", "ok  pool", "ok  jobs"} <= {line.split(":")[0] for line in others}
    assert all(line.startswith("ok ") for line in others)


def test_report_says_where_it_is(rods, run: Path) -> None:
    done = rods("report", run)
    assert (done.code, done.out) == (0, f"{run / 'report.html'}\n")
