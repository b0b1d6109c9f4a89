"""The real command, start to end: the same results every time, whatever interrupts it."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from rods.metrics import untimed
from rods.store.store import Store
from runs import SEED, STEPS, Runs

KEYS = "arm seed preset epochs trajectories generated_tokens wall_s synthesis_s heldout pool signal"


@pytest.fixture(scope="session")
def others(runs: Runs):
    """More runs, side by side."""
    with ThreadPoolExecutor(2) as pool:
        yield {
            "broken": pool.submit(runs.broken, "broken"),
            "again": pool.submit(runs.call, runs.command("again", "--json")),
        }


def test_what_a_run_leaves(runs: Runs) -> None:
    folder, summary, lines = runs.root / "whole", runs.summary("whole"), runs.lines("whole")
    assert set(KEYS.split()) <= set(summary)
    assert (summary["arm"], summary["seed"], summary["preset"]) == ("rods", SEED, "tiny")
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert summary["trajectories"] == sum(line["trajectories"] for line in lines) == 8 * STEPS
    assert summary["generated_tokens"] == sum(line["generated_tokens"] for line in lines)
    assert summary["epochs"] == len(summary["signal"]) == lines[-1]["epoch"] + 1
    for side in ("before", "after"):
        assert set(summary["heldout"][side]) > {"overall", "base", "long_context"}
    assert (folder / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert not list(folder.glob("*.part"))


def test_the_learning_rate_warms_up(runs: Runs) -> None:
    state = runs.root / "whole" / "checkpoints" / f"checkpoint-{STEPS}" / "trainer_state.json"
    logs = json.loads(state.read_text("utf-8"))["log_history"]
    rates = [entry["learning_rate"] for entry in logs if "learning_rate" in entry]
    assert rates[0] < rates[1] < rates[2] == max(rates) == rates[-1] == 5.0e-4


def test_no_task_is_lost_or_doubled(runs: Runs) -> None:
    found = runs.stored("whole")
    events = Counter((e.kind, e.task_id) for e in found["events"] if e.kind != "chosen")
    assert {n for (kind, _), n in events.items() if kind in ("seeded", "injected")} == {1}
    assert any(kind == "injected" for kind, _ in events), "this seed tests no injection"
    drawn = [(row.number, i) for row in found["epochs"] for i in row.task_ids]
    trained = [(g.epoch, g.task_id) for g in found["groups"]]
    assert trained == drawn[: len(trained)]
    assert len(set(trained)) == len(trained) == 2 * STEPS


@pytest.mark.slow
def test_the_same_again(runs: Runs, others: dict[str, Future]) -> None:
    done = others["again"].result()
    assert done.code == 0
    assert json.loads(done.out) == runs.summary("again")
    assert untimed(runs.summary("again")) == untimed(runs.summary("whole"))
    assert runs.lines("again") == runs.lines("whole")
    assert runs.stored("again") == runs.stored("whole")


@pytest.mark.slow
def test_interruptions_change_nothing(runs: Runs, others: dict[str, Future]) -> None:
    done, left = others["broken"].result()
    assert [each.code for each in done] == [130, 143, -signal.SIGKILL, 0]
    assert ["summary.json" in names for names in left] == [False, False, False, True]
    again = shlex.join(["rods", *runs.command("broken")[1:]])
    assert all(again in " ".join(each.out.split()) for each in done[:2])
    whole, broken = runs.stored("whole"), runs.stored("broken")
    for part in ("tasks", "events", "epochs", "groups", "funnel", "episodes"):
        assert broken[part] == whole[part]
    assert runs.lines("broken") == runs.lines("whole")
    assert untimed(runs.summary("broken")) == untimed(runs.summary("whole"))


@pytest.mark.slow
def test_interruptions_add_no_measurement(runs: Runs, others: dict[str, Future]) -> None:
    others["broken"].result()
    assert runs.stored("broken")["evaluations"] == runs.stored("whole")["evaluations"]


def test_a_finished_run_stays_as_it_is(rods, runs: Runs) -> None:
    """By its own command, which ends well, and by another."""
    before = runs.stored("whole"), runs.lines("whole"), runs.summary("whole")
    done = rods(*runs.arguments("whole"))
    assert (done.code, done.err) == (0, "")
    assert (runs.stored("whole"), runs.lines("whole"), runs.summary("whole")) == before
    done = rods(*runs.arguments("whole"), "--arm", "static")
    assert done.code == 2
    assert 'arm = "rods"' in done.err
    assert len(done.err.splitlines()) == 1
    assert (runs.stored("whole"), runs.lines("whole"), runs.summary("whole")) == before


@pytest.mark.slow
def test_a_run_that_is_prolonged_is_the_longer_one(runs: Runs) -> None:
    """With a constant rate; a notice says what a linear schedule changes."""
    more = ("--set", f"steps={STEPS + 5}")
    shutil.copytree(runs.root / "whole", runs.root / "prolonged")
    for name in ("prolonged", "longer"):
        done = runs.call(runs.command(name, *more))
        assert done.code == 0, done.err
    assert runs.lines("prolonged") == runs.lines("longer")
    prolonged, longer = runs.stored("prolonged"), runs.stored("longer")
    for part in ("tasks", "events", "epochs", "groups", "funnel"):
        assert prolonged[part] == longer[part]
    last = [[e for e in s["evaluations"] if e.step == STEPS + 5] for s in (prolonged, longer)]
    assert last[0] == last[1] and last[0]
    assert runs.summary("prolonged")["heldout"] == runs.summary("longer")["heldout"]
    assert runs.call(runs.command("prolonged")).code == 2, "it cannot be cut short again"


@pytest.mark.parametrize("name", ["whole", pytest.param("broken", marks=pytest.mark.slow)])
def test_doctor_and_verify_find_nothing(
    rods, runs: Runs, name: str, request: pytest.FixtureRequest
) -> None:
    if name == "broken":
        request.getfixturevalue("others")["broken"].result()
    done = rods("doctor", runs.root / name)
    assert (done.code, "BAD" in done.out) == (0, False)
    done = rods("verify", runs.root / name, "--json")
    assert done.code == 0
    assert json.loads(done.out)["refused"] == {}


@pytest.mark.slow
def test_a_run_killed_before_its_last_measurement_measures_the_trained_policy(
    rods, runs: Runs
) -> None:
    folder = runs.root / "unmeasured"
    shutil.copytree(runs.root / "whole", folder)
    (folder / "summary.json").unlink()
    store = Store(folder)
    with store.transaction():
        store.db.write("DELETE FROM heldout WHERE step = ?", STEPS)
    store.close()
    whole = [e for e in runs.stored("whole")["evaluations"] if e.side == "test"]
    first, last = ([e[1:] for e in whole if e.step == step] for step in (0, STEPS))
    assert first != last, "training changed nothing that could be measured"
    assert rods(*runs.arguments("unmeasured")).code == 0
    assert runs.stored("unmeasured")["evaluations"] == runs.stored("whole")["evaluations"]


@pytest.mark.slow
def test_a_checkpoint_that_was_cut_short_leaves_nothing(rods, runs: Runs) -> None:
    """Its weights are written to a temporary file, which a kill leaves behind."""
    whole, torn = runs.root / "whole", runs.root / "torn"
    shutil.copytree(whole, torn)
    last = torn / "checkpoints" / f"checkpoint-{STEPS}"
    (last / "complete").unlink()
    (last / ".tmp7MvuFy").write_bytes(b"half of the weights")
    assert rods(*runs.arguments("torn")).code == 0
    names = ({str(p.relative_to(top)) for p in top.rglob("*")} for top in (whole, torn))
    assert next(names) == next(names)
    assert runs.stored("torn") == runs.stored("whole")


@pytest.mark.parametrize("what", ["rewards", "tools", "tasks"])
def test_another_world_under_a_stored_pool_is_refused(rods, runs: Runs, what: str) -> None:
    shutil.copytree(runs.root / "whole", runs.root / what)
    store = Store(runs.root / what)
    store.set_meta("world", {**store.meta("world"), what: "others"})
    store.close()
    done = rods(*runs.arguments(what))
    assert done.code == 2
    assert f"the {what} of bfcl are not those that this run began with" in done.err
    assert "another folder" in done.err


@pytest.mark.slow
def test_a_signal_before_the_first_step_ends_a_run_that_goes_on_later(runs: Runs) -> None:
    folder = runs.root / "early"
    done = runs.call(runs.command("early"), signal.SIGTERM, 0)
    assert done.code == 128 + signal.SIGTERM, done.err
    assert "nothing is lost" in " ".join(done.out.split())
    assert not (folder / "summary.json").exists()
    Store(folder).close()  # the lease is free


def test_a_run_that_could_not_begin_claims_no_folder(rods, runs: Runs) -> None:
    done = rods(*runs.arguments("refused", "--set", "pool.seeds=400"))
    assert done.code == 2
    assert "pool.seeds" in done.err.splitlines()[-1]
    store = Store(runs.root / "refused")
    assert store.meta("config") is None, "the folder is taken by settings that cannot be run"
    store.close()
