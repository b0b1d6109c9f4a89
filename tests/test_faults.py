"""A few places of each fault that the benchmark of the store provokes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import store_faults

pytestmark = pytest.mark.slow
MEMORY = Path("/dev/shm")  # no test here is about a power failure


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    out = tmp_path_factory.mktemp("faults") / "rows.json"
    command = [sys.executable, store_faults.__file__, "--short", "--out", str(out)]
    quick = {"TMPDIR": str(MEMORY)} if os.access(MEMORY, os.W_OK) else {}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quick})
    assert out.exists(), done.stderr
    return {row["fault"]: row for row in json.loads(out.read_text("utf-8"))}


def test_nothing_is_lost_and_nobody_sees_a_traceback(rows: dict[str, dict]) -> None:
    assert [row for row in rows.values() if not row["fine"]] == []
    assert sum(row["groups"] for row in rows.values()) > 1000
    assert sum(row["tasks"] for row in rows.values()) > 100


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("disk full in `add_groups`", "2", "see whether the disk is full"),
        ("disk full in `end_epoch`", "2", "see whether the disk is full"),
        ("folder cannot be written", "2", "make it writable, or use another folder"),
        ("file locked by another program without end", "2", "end the process that holds it"),
        ("file truncated", "2", "it is damaged: restore it or use another folder"),
        ("page overwritten", "2", "it is damaged: restore it or use another folder"),
        ("log deleted after the trainer was killed, and put back", "2", "run.sqlite-wal back"),
        ("worker that dies at every start", "0", "died 3 times in a row; last: rods: no such"),
        ("worker that hangs", "0", "died 3 times in a row; last: silent for 0.5 s"),
    ],
)
def test_what_a_person_is_told(rows: dict[str, dict], fault: str, code: str, words: str) -> None:
    assert code in rows[fault]["codes"]
    assert any(words in told for told in rows[fault]["told"]), rows[fault]["told"]


@pytest.mark.parametrize(
    "fault",
    [
        "file locked by another program for a moment",
        "file locked by a worker that is stopped",
        "folder cannot be written: `rods doctor` on a run that was closed",
        "folder cannot be written: `rods doctor` on a run that was killed",
    ],
)
def test_what_stops_nobody(rows: dict[str, dict], fault: str) -> None:
    assert rows[fault]["codes"] == {"0": 1}


def test_a_trainer_was_killed_in_every_phase(rows: dict[str, dict]) -> None:
    phases = ("begin", "_begin_epoch", "add_groups", "take", "finish", "end_epoch", "rollback")
    for phase in phases:
        assert rows[f"trainer killed in `{phase}`"]["codes"] == {"SIGKILL": 3}
    for name in ("cut", "overwritten"):
        row = rows[f"end of the log {name} after the trainer was killed"]
        assert row["cases"] > 10
        assert row["tasks"] > 0
