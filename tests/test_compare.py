"""rods compare: intervals, contrasts, what it reads, runs, writes and refuses."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commandline import refused
from compared import held_out, result, written
from doubles import begin as begin_loop
from doubles import configs, finish, go
from pages import Elements
from rods.comparison.analysis import analyse, contrast, pairs
from rods.comparison.arms import ArmSetup, chosen, known_arms, shipped
from rods.comparison.bootstrap import interval
from rods.comparison.calibration import calibrations, joined
from rods.comparison.collect import collect, families, landings
from rods.comparison.curves import first_reaching, mean_curve
from rods.comparison.folder import FACTS, begin, may_differ, open_runs, read_results
from rods.comparison.page import render
from rods.comparison.plan import Plan, PlannedRun, plan, read_seeds, shared_values
from rods.comparison.record import Record
from rods.comparison.result import (
    Calibration,
    CurvePoint,
    Families,
    Landing,
    RunResult,
    read_result,
    result_path,
)
from rods.config import Config
from rods.curriculum.pool import Event
from rods.errors import UserError
from rods.group import Group
from rods.job_result import Spent
from rods.metrics import untimed
from rods.presets import load_config
from rods.store.account import Account
from rods.store.identity import difference
from rods.store.schema import Fates, TaskMeasurement
from rods.store.store import Store
from rods.task import Task
from runs import SEED, SETTINGS, Runs

SHORT = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
RODS = [sys.executable, "-m", "rods", "compare"]
shares = st.floats(0, 1).map(lambda value: round(value, 3))
tables = st.tuples(st.integers(1, 4), st.integers(2, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=shares)
)


def test_one_seed_by_hand() -> None:
    """Two tasks, 0 and 1: a draw is 0, 1/2 or 1, the ends with a quarter of the draws each."""
    assert interval({"a": np.array([[0.0, 1.0]])}) == (0.5, 0.0, 1.0)


def test_seeds_are_widened_by_hand() -> None:
    """Two seeds, 0.2 and 0.4 on all tasks: deviations of 0.1, which are scaled by sqrt(2)."""
    found = interval({"a": np.array([[0.2] * 3, [0.4] * 3])})
    wide = 0.1 * 2**0.5
    assert found == pytest.approx((0.3, 0.3 - wide, 0.3 + wide))


def test_categories_have_the_same_weight() -> None:
    parts = {"a": np.array([[1.0, 1.0]]), "b": np.array([[0.0, 0.0, 0.0, 0.0]])}
    assert interval(parts) == (0.5, 0.5, 0.5)
    assert interval(dict(reversed(parts.items()))) == interval(parts)


def test_one_task_has_no_interval() -> None:
    assert interval({"a": np.array([[0.25]])}) == (0.25, None, None)


@given(tables, st.floats(-1, 1))
def test_a_constant_moves_mean_and_bounds(values: np.ndarray, shift: float) -> None:
    before, after = interval({"a": values}), interval({"a": values + shift})
    assert after == pytest.approx([number + shift for number in before], abs=1e-9)
    assert before.low - 1e-9 <= before.mean <= before.high + 1e-9


@given(st.lists(st.lists(shares, min_size=2, max_size=4), min_size=1, max_size=3), st.randoms())
def test_an_arm_against_itself_and_any_order(rows: list[list[float]], random: Any) -> None:
    size = min(map(len, rows))
    own = [result("rods", s, {"base": row[:size]}) for s, row in enumerate(rows)]
    found = contrast(own, own)
    assert found is not None
    for column in (found, found["complete"], found["progress"]):
        assert [column[key] for key in ("mean", "low", "high")] == [0, 0, 0]
    static = [run.model_copy(update={"arm": "static"}) for run in own]
    runs = [*own, *static]
    shuffled = random.sample(runs, len(runs))
    assert json.dumps(analyse(shuffled)) == json.dumps(analyse(runs))


def test_intervals_cover_nothing_and_find_an_effect() -> None:
    """Three seeds with effects of their own; the noise of tasks as of episodes played once."""
    rng, repeats, covered, found = np.random.default_rng(0), 40, 0, 0
    for _ in range(repeats):
        seed_effect = rng.normal(0, 0.01, (3, 1))
        parts = {name: seed_effect + rng.normal(0, 0.4, (3, 100)) for name in "abcd"}
        none = interval(parts)
        some = interval({name: values + 0.1 for name, values in parts.items()})
        covered += none.low <= 0 <= none.high
        found += some.low > 0
    assert covered >= 0.9 * repeats
    assert found >= 0.9 * repeats


def test_contrasts_are_paired_by_seed_and_task() -> None:
    """Seed 9 is in one arm only, and one task was lost in the other."""
    lost = result("static", 1, {"base": [0.2, 0.4]})
    rods = [result("rods", s, {"base": [0.5, 0.5, 1.0]}) for s in (1, 9)]
    found = contrast(rods, [lost, result("static", 2, {"base": [0.0, 0.0, 0.0]})])
    assert found is not None
    assert (found["seeds"], found["tasks"]) == (1, 2)
    assert found["mean"] == pytest.approx((0.3 + 0.1) / 2)
    assert found["progress"]["mean"] == pytest.approx(found["mean"] / 2)
    assert contrast(rods, [result("static", 2, {"base": [0.0]})]) is None


def test_which_contrasts() -> None:
    assert [*pairs(["static", "fresh", "rods", "rods-mean"])] == [
        *(("fresh", "static"), ("rods", "static"), ("rods-mean", "static")),
        *(("rods", "fresh"), ("rods", "rods-mean")),
        *(("rods-mean", "fresh"), ("rods-mean", "rods")),
    ]


def calibration(least: float, groups: int, signal: float) -> Calibration:
    """A bin whose forecasts are 0.95 and 0.5."""
    return Calibration(
        least=least,
        groups=groups,
        expected_signal=0.95,
        signal=signal,
        expected_mean=0.5,
        mean=0.25,
    )


def three_arms() -> list[RunResult]:
    """Complete: static 0.2, fresh 0.6, rods 0.5, in both seeds."""
    slow = (CurvePoint(0, 0, 0.1, 0.1), CurvePoint(10, 1000, 0.1, 0.3))
    quick = (*slow[:1], CurvePoint(5, 400, 0.4, 0.6), CurvePoint(10, 1100, 0.4, 0.5))
    found = []
    for seed in (0, 1):
        found.append(result("static", seed, {"base": [0.2, 0.2]}, curve=slow))
        found.append(result("fresh", seed, {"base": [0.6, 0.6]}, curve=quick))
        landed = {"groups": 4, "mean": 0.5, "signal": 0.25 + seed / 2, "in_zone": 1.0}
        changes = {
            "curve": quick,
            "trajectories": 1100,
            "tasks": 8 + seed,
            "variants": {"all": landed, "thirds": (landed, {"groups": 0}, {"groups": 0})},
            "families": {"counts": (3, 1)[: 2 - seed], "seeds": 8},
            "zones": {"boundary": {"groups": 1 + 2 * seed, "variance": 0.1 + 0.1 * seed}},
            "retired": {"mastered": 4} if seed else {},
            "forecasts": (calibration(0.9, 1 + seed, seed / 2),),
        }
        found.append(result("rods", seed, {"base": [0.5, 0.5]}, **changes))
    return found


def test_analysis_by_hand() -> None:
    found = analyse(three_arms())
    static, fresh, rods = (found["arms"][name] for name in ("static", "fresh", "rods"))
    assert rods["complete"] == {"mean": 0.5, "low": 0.5, "high": 0.5}
    assert (rods["seeds"], rods["tasks"], rods["trajectories"]) == (2, 8.5, 1100)
    assert rods["way_to_fresh"] == {"progress": 0.75, "complete": 0.75}
    assert rods["reaches"] == {"arm": "fresh", "complete": 0.5, "trajectories": 400}
    assert rods["variants"] == {"groups": 4, "mean": 0.5, "signal": 0.5, "in_zone": 1.0}
    assert rods["zones"] == {"boundary": {"groups": 4, "variance": 0.175}}
    assert rods["retired"] == {"mastered": 2} and static["retired"] == {}
    (found_bin,) = rods["forecasts"]
    assert (found_bin["groups"], found_bin["signal"]) == (3, 0.333333)
    assert static["variants"]["signal"] is None
    assert static["reaches"]["trajectories"] is None
    assert fresh["reaches"] is None and fresh["way_to_fresh"] is None
    flags = [arm["unequal_budget"] for arm in (static, fresh, rods)]
    assert flags == [False, False, True]
    told = found["contrasts"]["rods-static"]
    assert (told["mean"], told["low"], told["high"], told["seeds"]) == (0.3, 0.3, 0.3, 2)
    assert told["complete"] == {"mean": 0.3, "low": 0.3, "high": 0.3}
    assert [*found["contrasts"]] == ["fresh-static", "rods-static", "rods-fresh"]


def test_curves_are_interpolated_where_all_seeds_are_known() -> None:
    one = (CurvePoint(0, 0, 0.0, 0.0), CurvePoint(4, 400, 0.0, 0.4))
    two = (CurvePoint(0, 0, 0.0, 0.2), CurvePoint(2, 200, 0.0, 0.4), CurvePoint(5, 500, 0, 1.0))
    runs = [result("rods", s, {"a": [0, 1]}, curve=c) for s, c in enumerate((one, two))]
    curve = mean_curve(runs, "complete")
    assert [point.trajectories for point in curve] == [0, 200, 400]
    assert [point.mean for point in curve] == pytest.approx([0.1, 0.3, 0.6])
    assert (curve[1].low, curve[1].high) == pytest.approx((0.2, 0.4))
    assert first_reaching(curve, 0.3) == 200
    assert first_reaching(curve, 0.7) is None


def test_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    for one in three_arms():
        one.write(tmp_path)
        assert read_result(result_path(tmp_path, one.name)) == one
    first = (tmp_path / "rods-0.json").read_bytes()
    three_arms()[2].write(tmp_path)
    assert (tmp_path / "rods-0.json").read_bytes() == first


def test_report_needs_no_runs(rods, tmp_path: Path) -> None:
    folder = written(tmp_path / "out", *three_arms())
    done = rods("compare", "--report", folder, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == analyse(three_arms())
    shown = rods("compare", "--report", folder)
    assert shown.code == 0
    assert (
        "rods - static" in shown.out and "* Unequal budget: the trajectories of rods" in shown.out
    )
    assert f"Page: {folder / 'report.html'}" in shown.out
    assert (folder / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_what_the_reader_is_told(rods, tmp_path: Path) -> None:
    folder = written(tmp_path, result("static", 3, {"base": [0.2, 0.4]}, side="validation"))
    shown = rods("compare", "--report", folder)
    assert "results on the validation side" in shown.out
    assert "One random seed (static): the intervals cover tasks only" in shown.out


def test_the_page_has_tables_and_figures() -> None:
    runs = three_arms()
    page = render(runs, analyse(runs))
    drawn = Elements(page).sections
    assert [*drawn] == ["complete", "progress", "signal", "active", "landings", "families"]
    (curves,), (families,) = drawn["complete"], drawn["families"]
    assert [*curves.columns] == ["trajectories", "static", "fresh", "rods"]
    assert curves.columns["static"] == ["10.0 %", "-", "30.0 %", "-"]
    assert curves.columns["trajectories"][::2] == ["0", "1,000"]
    assert families.columns["rods"] == ["3", "0.5"]
    for text in (
        "<td>0.500</td>",
        "<td>[+0.300, +0.300]</td>",
        "<td>1,100*</td>",
        "<td>25%</td>",
        "<td>mastered</td>",
    ):
        assert text in page, text


def experiment(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a script of experiments/ on the folder of a comparison; its exit code."""
    script = Path(__file__).parents[1] / "experiments" / name
    monkeypatch.setattr("sys.argv", [str(script), str(folder)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    return ended.value.code


def test_figures_as_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "out", *three_arms())
    assert experiment("comparison_figures.py", folder, monkeypatch) == 0
    made = {path.stem: path.read_bytes()[:4] for path in folder.glob("*.png")}
    names = ("active", "arms", "calibration", "complete", "landings", "signal")
    assert made == dict.fromkeys(names, b"\x89PNG")


def test_claims_of_the_paper(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    more = [result("offline-17k", s, {"base": [0.55, 0.55]}) for s in (0, 1)]
    more += [result("envtuning", s, {"base": [0.6 - s * 0.2, 0.6]}) for s in (0, 1)]
    more += [result("rods-no-feedback", s, {"base": [0.5, 0.5]}) for s in (0, 1)]
    more += [result("rods-no-retirement", 0, {"base": [0.1, 0.1]})]
    folder = written(tmp_path / "out", *three_arms(), *more)
    assert experiment("comparison_tables.py", folder, monkeypatch) == 0
    told = capsys.readouterr().out
    for text in (
        "rods - static | +6.00 | +30.0 [+30.0, +30.0] | 2 | agree |",
        "rods - offline-17k | -0.50 | -5.0 [-5.0, -5.0] | 2 | disagree |",
        "rods - rods-no-feedback | +2.13 | +0.0 [+0.0, +0.0] | 2 | disagree |",
        "rods - rods-no-retirement | +3.38 | not run | - | cannot tell |",
        "rods - fresh | - | -10.0 [-10.0, -10.0] | 2 | disagree |",
        "rods - rods-binary | +3.25 | not run | - | cannot tell |",
    ):
        assert text in told, told
    (wide,) = (line for line in told.splitlines() if "| rods - envtuning |" in line)
    assert wide.endswith("| cannot tell |") and "| -5.0 [" in wide
    assert experiment("comparison_tables.py", tmp_path / "none", monkeypatch) == 2


def test_tables_of_the_arms(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    assert experiment("comparison_tables.py", written(tmp_path, *three_arms()), monkeypatch) == 0
    told = capsys.readouterr().out.splitlines()
    for line in (
        "| rods | 2 | 5.0 | 50.0 [50.0, 50.0] | +30.0 [+30.0, +30.0] | 25.0 [25.0, 25.0] |  |",
        "| rods | 1,100 | 0.01 M | 8 | 8, 12, 14 | 75 %, 59 %, 50 % | 1 | 0.0 |",
        "| trajectories | 0 | 1,000 |",
        "| rods | 10.0 % | 51.4 % |",  # between 60 % at 400 and 50 % at 1100
        "| rods | 75 % | 75 % | 50.0 % (fresh) | 400 |",
        "| static |  |  | 50.0 % (fresh) | not reached |",
        "| rods | 4 | 0.50 | 50 % | 100 % | 50 %, -, - | 100 % |",
        "| rods | 3 | 95 % | 33 % | 0.50 | 0.25 |",
        "| rods | mastered 2 |",
    ):
        assert line in told, line
    assert not any(line.startswith("| arm | variance") for line in told)  # one zone only


def test_the_variance_of_zones_is_compared(tmp_path: Path, capsys, monkeypatch) -> None:
    zones = {"boundary": (5, 0.3), "mastered": (3, 0.1), "hard": (1, 0.5)}
    found = {name: {"groups": n, "variance": v} for name, (n, v) in zones.items()}
    folder = written(tmp_path, result("rods", 0, {"a": [0, 1]}, zones=found))
    assert experiment("comparison_tables.py", folder, monkeypatch) == 0
    assert "| rods | 0.3000 | 0.2000 | 1.5 |" in capsys.readouterr().out


def test_new_structures_are_compared_beside() -> None:
    """Ten points better on new combinations of tools, and equal on the test side."""
    runs = [
        result("static", s, {"a": [0.5, 0.5]}, structure=held_out({"a": [0.1] * 2})) for s in (0, 1)
    ]
    runs += [
        result("rods", s, {"a": [0.5, 0.5]}, structure=held_out({"a": [0.2] * 2})) for s in (0, 1)
    ]
    found = analyse(runs)
    difference = found["contrasts"]["rods-static"]
    assert difference["mean"] == 0.0 and difference["structure"]["complete"]["mean"] == 0.1
    assert found["arms"]["rods"]["structure"]["complete"]["mean"] == 0.2
    page = render(runs, found)
    assert '<th scope="row">rods - static</th><td>+0.100</td>' in page
    assert '<th scope="row">rods</th><td>base</td><td>8</td><td>3.0</td><td>5.0</td>' in page
    some = analyse([*runs[:3], result("rods", 1, {"a": [0.5, 0.5]})])
    assert some["arms"]["rods"]["structure"] is None
    assert "structure" not in some["contrasts"]["rods-static"]


def test_names_on_the_page_are_escaped() -> None:
    runs = [result("static", 0, {"base": [0, 1]}, settings=("run_name=<script>x</script>",))]
    page = render(runs, analyse(runs))
    assert "<script>x" not in page and "run_name=&lt;script&gt;x" in page


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda data: data.pop("tasks"), "tasks: Field required"),
        (lambda data: data.update(wall_s="long"), "wall_s"),
        (lambda data: data["test"]["tasks"].update(base0=[2.0, 0.0]), "test.tasks.base0.0"),
        (lambda data: data["test"]["tasks"].pop("base0"), "each of them must be in one"),
        (lambda data: data.update(curve=[[0, 0, 0.5]]), "curve.0"),
        (lambda data: data.update(seed=1), "holds the result of rods-1"),
        (lambda data: data.update(more=1), "more"),
    ],
)
def test_a_damaged_file_is_named(rods, tmp_path: Path, changed: Any, told: str) -> None:
    path = result_path(written(tmp_path, result("rods", 0, {"base": [0, 1]})), "rods-0")
    data = json.loads(path.read_text())
    changed(data)
    path.write_text(json.dumps(data))
    refused(rods("compare", "--report", tmp_path), str(path), told)


def test_what_is_no_result(rods, tmp_path: Path) -> None:
    refused(rods("compare", "--report", tmp_path / "none"), "no such folder")
    refused(rods("compare", "--report", tmp_path), "no result of a run")
    (tmp_path / "rods-0.json").write_text("{")
    refused(rods("compare", "--report", tmp_path), "rods-0.json", "not JSON")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"preset": "tiny"}, "preset: is tiny, not micro"),
        ({"side": "validation"}, "side: is validation, not test"),
        (
            {"config": {"arm": "rods", "steps": 9, "pool": {"beta": 0.2}}},
            "is of a run with steps = 9, not 10 as of rods-0",
        ),
    ],
)
def test_results_that_are_not_alike(rods, tmp_path: Path, change: Any, told: str) -> None:
    written(tmp_path, *(result("rods", s, {"a": [0, 1]}, **(change if s else {})) for s in (0, 1)))
    refused(rods("compare", "--report", tmp_path), "rods-1.json", told)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "--arms"),
        (["--arms", "static"], "--out"),
        (["--arms", "stattic", "--out", "x"], "no such arm; there are: static, fresh"),
        (["--arms", "static,static", "--out", "x"], "given twice"),
        (["--arms", "static", "--seeds", "0,x", "--out", "x"], "--seeds 0,x"),
        (["--arms", "static", "--seeds", "4-0", "--out", "x"], "--seeds 4-0"),
        (["--arms", "static", "--seeds", "1,0-2", "--out", "x"], "each seed once"),
        (["--arms", "static", "--preset", "none", "--out", "x"], "no preset 'none'"),
        (["--arms", "static", "--set", "pool.beta=2", "--out", "x"], "arm static: preset micro"),
        (["--arms", "static", "--set", "evaluation.tasks=0", "--out", "x"], "evaluation.tasks"),
        (["--arms", "static", "--arms-file", "none.yaml", "--out", "x"], "none.yaml"),
        (["--arms", "static", "--report", "x"], "--report"),
    ],
)
def test_refusals_write_nothing(rods, tmp_path, monkeypatch, options: Any, told: str) -> None:
    monkeypatch.chdir(tmp_path)
    refused(rods("compare", *options), told)
    assert not [*tmp_path.iterdir()]


@given(st.lists(st.integers(0, 999), min_size=1, max_size=9, unique=True))
def test_seeds_are_read(seeds: list[int]) -> None:
    assert read_seeds(",".join(map(str, seeds))) == seeds
    first = min(seeds)
    assert read_seeds(f"{first}-{first + 3}") == [first, first + 1, first + 2, first + 3]


def test_shipped_arms_are_configurations() -> None:
    arms = shipped()
    assert [*arms][:3] == ["static", "fresh", "fresh-all"]
    found = plan("micro", (), arms, [0, 1], Path("out"))
    assert [run.name for run in found.runs[: len(arms)]] == [f"{name}-0" for name in arms]
    assert len(found.runs) == 2 * len(arms)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mine: {text: a, arm: rodds}", "mine.arm"),
        ("mine: {text: a, arm: rods, sets: []}", "mine.sets"),
        ("mine: {text: a, arm: rods, set: pool.beta=1}", "mine.set"),
        ("a/b: {text: a, arm: rods}", "a/b"),
        ("[1]", "dictionary"),
        ("a: {text: a\n", "line"),
        ("static: {text: a, arm: rods}", "static: there is a shipped arm"),
    ],
)
def test_a_file_of_arms_is_read_or_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "arms.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        known_arms(path)
    assert str(error.value).startswith(f"{path}: ") and told in str(error.value)


def test_own_arms(tmp_path: Path) -> None:
    path = tmp_path / "arms.yaml"
    path.write_text("mine:\n  text: half of it\n  arm: rods\n  set: [pool.beta=0.1]\n")
    arms = chosen(["mine", "static"], known_arms(path))
    (first, _) = plan("micro", ["pool.beta=0.3"], arms, [7], tmp_path).runs
    assert first.settings == ("pool.beta=0.3", "pool.beta=0.1"), "an arm's own settings count"
    assert "--seed 7 --set pool.beta=0.3 --set pool.beta=0.1 --json" in first.line()
    assert "rods train --run runs/mine-7 --preset micro " in first.line(), "no path of the machine"
    assert str(tmp_path / "runs" / "mine-7") in first.command()


def planned(
    folder: Path, *arms: str, overrides: tuple[str, ...] = (), preset: str = "tiny"
) -> Plan:
    return plan(preset, overrides, chosen(arms, shipped()), [0], folder)


def test_a_folder_holds_one_comparison(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    begin(folder, planned(folder, "static"))
    begin(folder, planned(folder, "rods"))
    told = (folder / FACTS).read_bytes()
    assert [*json.loads(told)["arms"]] == ["rods", "static"]
    same = planned(folder, "static")
    begin(folder, same)
    other = {"static": ArmSetup(text="another", arm="rods")}
    for wrong, why in (
        (planned(folder, "static", preset="micro"), "preset tiny, not micro"),
        (planned(folder, "static", overrides=("steps=9",)), "--set none, not steps=9"),
        (plan("tiny", (), other, [0], folder), "another arm static"),
    ):
        with pytest.raises(UserError, match=why):
            begin(folder, wrong)
    assert (folder / FACTS).read_bytes() == told
    (tmp_path / "other").write_text("")
    with pytest.raises(UserError, match="holds something else"):
        begin(tmp_path, same)


def test_finished_runs_are_not_repeated(tmp_path: Path) -> None:
    both = planned(tmp_path, "static", "rods")
    written(tmp_path, result("rods", 0, {"base": [0, 1]}, config=both.runs[1].values))
    assert [run.name for run in open_runs(tmp_path, both)] == ["static-0"]
    with pytest.raises(
        UserError, match=r"rods-0\.json: is of a run with steps = 8, not 9; remove it"
    ):
        open_runs(tmp_path, planned(tmp_path, "rods", overrides=("steps=9",)))
    before = both.runs[1].values | {"pool": both.runs[1].values["pool"] | {"beta": 0.125}}
    written(tmp_path, result("rods", 0, {"base": [0, 1]}, config=before))
    with pytest.raises(UserError, match=r"with pool\.beta = 0\.125, not 0\.5; remove it"):
        open_runs(tmp_path, both)  # the preset has changed since


def test_what_alike_runs_may_differ_in(tmp_path: Path) -> None:
    """They may come from machines with other hardware and paths."""
    config = {"arm": "rods", "hardware": {"gpus": 0}, "synthesis": {"endpoint": None}}
    other = config | {"hardware": {"gpus": 8}, "synthesis": {"endpoint": "mine.yaml"}}
    written(tmp_path, result("rods", 0, {"a": [0, 1]}, config=config))
    written(tmp_path, result("rods", 1, {"a": [0, 1]}, config=other))
    assert len(read_results(tmp_path)) == 2


@settings(max_examples=30)
@given(configs.filter(lambda config: config.arm != "rods"), configs)
def test_arms_with_a_constant_pool_do_not_read_its_rules(
    tmp_path_factory, one: Config, other: Config
) -> None:
    """So runs of them with other rules are alike."""
    pool = other.pool.model_copy(update={"seeds": one.pool.seeds})
    synthesis = one.synthesis.model_copy(update={"surplus": other.synthesis.surplus})
    changes = {"pool": pool, "boundary": other.boundary, "synthesis": synthesis}
    changed, found = one.model_copy(update=changes), []
    values = [shared_values(config.model_dump(mode="json")) for config in (one, changed)]
    assert difference(*values, may_differ(values[0])) == ""
    for config in (one, changed):
        loop = begin_loop(config, tmp_path_factory.mktemp("run"))
        go(loop, 12)
        found.append(finish(loop))
    assert found[0] == found[1]


def test_rules_of_the_pool_count_where_they_are_read() -> None:
    config = {"arm": "static", "boundary": {"rule": "mean"}, "pool": {"sampling": "uniform"}}
    assert "boundary.rule" in may_differ(config)
    assert "boundary.rule" not in may_differ(config | {"pool": {"sampling": "priority"}})
    assert not {"boundary.rule", "pool.seeds"} & may_differ(config | {"arm": "rods"})
    assert not {"pool.seeds", "synthesis.feedback", "steps"} & may_differ(config)


def test_many_settings_that_differ_are_counted(tmp_path: Path) -> None:
    for seed, value in enumerate((1, 2)):
        config = {f"key{number}": value for number in range(20)}
        written(tmp_path, result("rods", seed, {"a": [0, 1]}, config=config))
    with pytest.raises(UserError, match=r"key7 = 2, not (1, ){7}1 \(20 settings differ\)") as told:
        read_results(tmp_path)
    assert "key8" not in str(told.value)


def planned_run(folder: Path) -> PlannedRun:
    settings = tuple(f"{key}={value}" for key, value in SETTINGS.items())
    (run,) = plan("tiny", settings, {"rods": shipped()["rods"]}, [SEED], folder).runs
    return replace(run, folder=folder)


def test_what_a_run_leaves(runs: Runs) -> None:
    """Beside the summary, all numbers are counted again here from the store."""
    folder, summary = runs.root / "whole", runs.summary("whole")
    found, stored = collect(planned_run(folder)), runs.stored("whole")
    groups, last = stored["groups"], summary["steps"]
    assert (found.side, found.seed, found.steps) == ("test", SEED, last)
    assert found.trajectories == summary["trajectories"] == sum(len(g.rewards) for g in groups)
    assert found.tasks == len({group.task_id for group in groups})
    rows = [row for row in stored["evaluations"] if row.side == "validation"]
    assert [point.step for point in found.curve] == sorted({row.step for row in rows})
    assert found.curve[-1].trajectories == found.trajectories
    last_rows = [r.progress for r in rows if r.step == last and r.category != "overall"]
    assert found.curve[-1].progress == pytest.approx(sum(last_rows) / len(last_rows))
    assert [round(point.signal, 4) for point in found.by_epoch] == summary["signal"]
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    pools = {line["epoch"]: line["pool"]["active"] for line in map(json.loads, lines)}
    assert {point.epoch: point.active for point in found.by_epoch} == pools
    injected = [event.task_id for event in stored["events"] if event.kind == "injected"]
    assert sum(found.families.counts) == len(injected) == summary["pool"]["injected"]
    firsts = {g.task_id: g for g in reversed(groups) if g.task_id in injected and g.complete}
    assert found.variants.all.groups == len(firsts)
    assert sum(third.groups for third in found.variants.thirds) == len(firsts)
    assert found.config == planned_run(folder).values
    assert found.text() == collect(planned_run(folder)).text()
    assert len(found.text()) < 50_000


def test_first_groups_and_families_by_hand() -> None:
    """Variants a and b of the seed task s, and c, which is a variant of b; c was never played."""
    events = [Event(1, 0, name, "seeded") for name in ("s", "t")]
    parents = {"a": "s", "b": "s", "c": "b"}
    events += [Event(2, 1, name, "injected", parent) for name, parent in parents.items()]
    groups = [
        Group("s", "base", (1.0, 1.0), 0, 1),
        Group("a", "base", (1.0,), 1, 3, size=2),  # incomplete, so the next one is the first
        Group("a", "base", (0.0, 0.5), 1, 4),
        Group("b", "base", (1.0, 1.0), 1, 6),
        Group("a", "base", (1.0, 1.0), 1, 6),
    ]
    task = Task(category="base", classes=(), start={}, turns=())
    record = Record(
        *("run", {}, "", {}, {}),
        groups=groups,
        events=events,
        funnel={},
        episodes={},
        evaluations=[],
        tasks=dict.fromkeys("stabc", task),
        account=Account(Fates(3, 3, 0, 0), 0.0, Spent()),
        gave_up="",
    )
    assert families(record) == Families(counts=(3,), seeds=2)
    found = landings(record, 6)
    assert found.all == Landing(groups=2, mean=0.625, signal=0.5, in_zone=0.5)
    assert [third.groups for third in found.thirds] == [0, 1, 1]
    assert found.thirds[1] == Landing(groups=1, mean=0.25, signal=1.0, in_zone=1.0)


def test_calibration_of_forecasts_by_hand() -> None:
    """Two in one bin, one in another; a variant that was not played to its end is left out."""
    firsts = {
        "a": Group("a", "base", (1.0, 0.0), 1, 3),
        "b": Group("b", "base", (1.0, 1.0), 1, 3),
        "c": Group("c", "base", (0.0, 0.0), 1, 4),
    }
    lines = [
        {"forecasts": {"a": [0.5, 0.95], "b": [0.7, 0.9]}},
        {},
        {"forecasts": {"c": [0.9, 0.1], "d": [0.9, 0.95]}},
    ]
    low, high = calibrations(lines, firsts)
    assert (low.least, low.groups, low.signal, low.mean) == (0.0, 1, 0.0, 0.0)
    assert (high.least, high.groups, high.signal, high.mean) == (0.9, 2, 0.5, 0.75)
    assert high.expected_signal == pytest.approx(0.925)
    assert high.expected_mean == pytest.approx(0.6)
    assert calibrations([], firsts) == ()
    both = joined([(low, high), (high,)])
    assert [(one.least, one.groups) for one in both] == [(0.0, 1), (0.9, 4)]


def test_each_shipped_arm_is_a_configuration_and_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "compare.md").read_text("utf-8")
    assert re.findall(r"^\| `([a-z0-9-]+)` \| ", page, re.MULTILINE) == list(shipped())
    for name, setup in shipped().items():
        config = load_config("comparison", setup.set, arm=setup.arm)
        assert config.arm == setup.arm, name
        assert (config == load_config("comparison", arm="rods")) == (name == "rods"), name


def test_the_test_side_is_read_once(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "read"
    shutil.copytree(runs.root / "whole", folder)
    store = Store(folder)
    with store.transaction():
        store.measures.add_heldout([TaskMeasurement(4, "test", "t", "base", 0.5, 0.0, 1)])
    store.close()
    with pytest.raises(UserError, match=r"more than once \(steps 0, 4, 8\); compare needs a run"):
        collect(planned_run(folder))


def test_without_a_test_side_the_validation_side_counts(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "unread"
    shutil.copytree(runs.root / "whole", folder)
    store = Store(folder)
    store.db.write("DELETE FROM heldout WHERE side = 'test'")
    store.close()
    found = collect(planned_run(folder))
    assert found.side == "validation"
    complete = analyse([found])["arms"]["rods"]["complete"]["mean"]
    assert complete == pytest.approx(found.curve[-1].complete, abs=1e-6)


def test_a_failed_run_does_not_stop_the_others(rods, tmp_path: Path) -> None:
    """The tasks are too few for this arm's pool, which only the run itself finds."""
    path = tmp_path / "arms.yaml"
    path.write_text("empty: {text: no seed tasks, arm: static, set: [pool.seeds=1]}\n")
    own = ["--arms-file", path, "--arms", "empty,static", "--out", tmp_path / "out"]
    done = rods("compare", "--preset", "tiny", *SHORT, *own, "--json")
    assert done.code == 1
    lines = [line for line in done.err.splitlines() if line.startswith("rods: ")]
    log = tmp_path / "out" / "runs" / "empty-0.log"
    assert len(lines) == 1 and "pool.seeds" in lines[0] and lines[0].endswith(f"its log: {log}")
    assert [*json.loads(done.out)["arms"]] == ["static"]


def compared(folder: Path) -> list[str]:
    """The command that compares three arms with one random seed, two runs at once."""
    arms = ["--preset", "tiny", "--arms", "rods,static,fresh", "--workers", "2"]
    return [*RODS, *arms, *SHORT, "--out", str(folder), "--json"]


@pytest.mark.slow
def test_an_interrupted_comparison_ends_like_any_other(tmp_path: Path) -> None:
    """The first signal finds two runs at work, the second one finds finished runs beside them."""
    whole = subprocess.run(compared(tmp_path / "whole"), capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
    broken = tmp_path / "broken"
    for number, run in ((signal.SIGINT, "rods-0"), (signal.SIGTERM, "fresh-0")):
        with subprocess.Popen(compared(broken), stderr=subprocess.PIPE, text=True) as job:
            metrics = broken / "runs" / run / "metrics.jsonl"
            while not (metrics.exists() and len(metrics.read_text().splitlines()) >= 2):
                assert job.poll() is None
                time.sleep(0.02)
            job.send_signal(number)
            _, err = job.communicate(timeout=120)
        assert job.returncode == 128 + number
        assert "Interrupted; nothing is lost. Continue with: rods compare" in err
        assert "failed" not in err
    kept = {path.name: path.stat().st_mtime_ns for path in broken.glob("*-?.json")}
    assert kept and "fresh-0.json" not in kept
    again = subprocess.run(compared(broken), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert {name: (broken / name).stat().st_mtime_ns for name in kept} == kept
    for one in (tmp_path / "whole").glob("*-?.json"):
        other = json.loads((broken / one.name).read_text())
        assert untimed(other) == untimed(json.loads(one.read_text()))
    told = [json.loads(text) for text in (again.stdout, whole.stdout)]
    assert untimed(told[0]) == untimed(told[1])
    shutil.rmtree(broken / "runs")
    report = subprocess.run([*RODS, "--report", broken, "--json"], capture_output=True, text=True)
    assert json.loads(report.stdout) == told[0]
