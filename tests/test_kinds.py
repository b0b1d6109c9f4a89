"""Kinds of policy: one of a user trains by the command, and synthesis prepares none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from commandline import refused
from fragile import Fragile
from rods.errors import UserError
from rods.group import GroupRewards
from rods.loop import Loop
from rods.policies.registry import PolicySettings, kind_of
from rods.policies.tasks import choose_seeds
from rods.presets import load_config
from rods.store.identity import check_settings
from rods.store.store import Store
from stock_kind import StockKind, StockSettings

ROOT = Path(__file__).parent.parent
CLINIC = "examples.clinic.tools:Clinic"
CLINIC_TASKS = ROOT / "examples" / "clinic" / "tasks.yaml"
STOCK = "policy.name=stock_kind:StockKind"


INSTANCE = StockKind()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and the examples in the current folder."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("RODS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kinds(cache: Path) -> set[str]:
    """Of what lies in a cache."""
    return {path.name.rpartition("-")[0] for path in cache.iterdir()}


def on_tally(folder: Path) -> list[str]:
    """Writes tasks for the tools that `tools` puts there; the options of a small run on them."""
    start = {"Tally": {"folder": str(folder)}}
    rows = [
        {"id": f"t{i}", "start": start, "turns": [{"user": f"two {i}", "calls": ["add(amount=2)"]}]}
        for i in range(8)
    ]
    path = folder / "tasks.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return ["--env", "tally:Tally", "--tasks", str(path), "--preset", "tiny"]


@pytest.mark.slow
def test_a_kind_of_the_users_own_trains_and_resumes(
    rods: Any, tools: Fragile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StockKind, "loaded", [])
    run = tmp_path / "run"
    command = ("train", "--run", run, *on_tally(tmp_path), "--arm", "static", "--json")
    command += ("--set", STOCK, "--set", "policy.rows=5")
    for count in (2, 4):
        done = rods(*command, "--set", f"steps={count}")
        assert done.code == 0, done
        assert json.loads(done.out)["steps"] == count
    assert StockKind.loaded == [None, run / "checkpoints" / "checkpoint-2"]
    store = Store(run, role="reader")
    assert {group.step for group in store.groups()} == {1, 2, 3, 4}
    assert any(len(set(group.rewards)) > 1 for group in store.groups()), "nothing to learn"
    assert store.meta("config")["policy"] == {"name": "stock_kind:StockKind", "rows": 5}
    store.close()
    assert "A model without training." in (run / "report.html").read_text("utf-8")
    refused(rods(*command[:-1], "policy.rows=6", "--set", "steps=4"), "policy.rows = 5, not 6")
    store = Store(run)
    store.set_meta("config", store.meta("config") | {"policy": {"name": "gone:Kind"}})
    store.close()
    refused(rods("synth", "--follow", run), f"{run}: policy.name: gone cannot be imported")


@pytest.mark.parametrize("arm", ["rods", "fresh"])
@pytest.mark.parametrize("mode", ["inline", "background"])
def test_an_arm_that_makes_tasks_needs_synthesis(
    rods: Any, tools: Fragile, tmp_path: Path, mode: str, arm: str
) -> None:
    run, options = tmp_path / "run", on_tally(tmp_path)
    message = f"--arm {arm}: these tools have no synthesis; use --arm static"
    mode = f"synthesis.mode={mode}"
    refused(
        rods("train", "--run", run, *options, "--arm", arm, "--set", STOCK, "--set", mode), message
    )
    assert not run.exists()


def test_a_worker_without_synthesis_is_refused(rods: Any, tools: Fragile, tmp_path: Path) -> None:
    on_tally(tmp_path)
    own = {"environment__name": "tally:Tally", "environment__tasks": str(tmp_path / "tasks.jsonl")}
    store = Store(tmp_path / "run")
    config = load_config("tiny", [STOCK, "synthesis.mode=background"], **own)
    check_settings(store, config, store.folder)
    store.close()
    message = "--arm rods: these tools have no synthesis; use --arm static"
    refused(rods("synth", "--follow", tmp_path / "run"), message)


def test_a_run_without_held_out_tasks(rods: Any, tools: Fragile, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("train", "--run", run, *on_tally(tmp_path), "--arm", "static", "--set", "steps=1")
    done = rods(*command, "--set", "policy.name=stock_kind:UnmeasuredKind")
    assert done.code == 0, done
    assert "Held-out" not in done.out
    assert json.loads((run / "summary.json").read_text())["heldout"] == {"before": {}, "after": {}}
    report = (run / "report.html").read_text("utf-8")
    assert "There are no test tasks." in report and "There are no validation tasks." in report


def test_settings_are_those_of_the_named_kind() -> None:
    assert load_config("tiny").policy.model_dump()["width"] == 48
    assert load_config("tiny", ["policy.name=micro"]) == load_config("tiny")
    for order in (["policy.rows=3", STOCK], [STOCK, "policy.rows=3"]):
        config = load_config("tiny", order)
        assert config.policy == StockSettings(name="stock_kind:StockKind", rows=3)
        assert type(config).model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("policy.name=large", "policy.name: no kind of policy 'large'; there are: micro"),
        ("policy.name=:Kind", "policy.name: no kind of policy ':Kind'"),
        ("policy.name=no_such_module:Kind", "policy.name: no_such_module cannot be imported"),
        ("policy.name=json:Kind", "policy.name: json has no class 'Kind'"),
        ("policy.name=json:JSONDecoder", "policy.name: json has no class 'JSONDecoder' with"),
        ("policy.name=3", "policy.name: Input should be a valid string"),
        ("policy.name=null", "policy.name: Input should be a valid string"),
        ("policy=3", "policy: "),
        ("policy={size: 2}", "policy.size: no setting of the policy micro"),
        ("policy.widht=3", "policy.widht: no setting of the policy micro; there are: name, width"),
        (f"{STOCK}s", "policy.name: stock_kind has no class 'StockKinds'"),
        ("policy.name=test_kinds:INSTANCE", "test_kinds has no class 'INSTANCE'"),
        ("policy.width=true", "policy.width: must be a number"),
    ],
)
def test_an_unusable_policy_is_refused(override: str, named: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config("tiny", [override])
    assert named in str(caught.value) and "\n" not in str(caught.value)


def test_a_module_that_fails_is_no_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_kind.py").write_text("raise SystemExit('no licence')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="failing_kind cannot be imported: SystemExit: no licence"):
        load_config("tiny", ["policy.name=failing_kind:Kind"])
    with pytest.raises(UserError, match="no kind of policy"):
        kind_of("failing_kind")
    assert PolicySettings().name == "micro"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("def __init__(self, size): pass", "cannot be made without arguments: TypeError: "),
        ("def __init__(self): raise OSError('gone')", "without arguments: OSError: gone"),
        ("tasks = None", "has no class 'Kind' with PolicySettings as its settings and the methods"),
        ("load = 3", "has no class 'Kind' with PolicySettings as its settings and the methods"),
    ],
)
def test_an_unusable_class_is_no_kind(
    rods: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, named: str
) -> None:
    name = tmp_path.name
    text = f"from stock_kind import StockKind\nclass Kind(StockKind):\n    {body}\n"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    command = ("train", "--preset", "tiny", "--run", "run", "--set", f"policy.name={name}:Kind")
    refused(rods(*command), "policy.name: ", named)
    assert not (tmp_path / "run").exists()


def test_what_an_import_says_is_bounded_and_shows_no_secret(
    rods: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "correct horse battery")
    text = "import os\nraise OSError(os.environ['DATABASE_PASSWORD'] + '\\n' + 'x' * 5000)\n"
    (tmp_path / "talkative.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    for command in (
        ("train", "--preset", "tiny", "--run", "run", "--set", "policy.name=talkative:Kind"),
        ("envs", "check", "talkative:Tools"),
    ):
        done = rods(*command)
        refused(done, "talkative cannot be imported: OSError: *** xxx")
        assert "horse" not in done.err and len(done.err) < 400


FOLLOWER = """
import sys
from pathlib import Path
from rods.follow import follow
from rods.processes import Stopper

folder = Path(sys.argv[1])

def tell(count):
    if not count.open or count.waiting >= count.bound:
        (folder / "summary.json").touch()

count = follow(folder, Stopper(), tell, print)
heavy = [name for name in ("torch", "transformers", "trl", "datasets") if name in sys.modules]
print(count.jobs, count.candidates, count.errors, heavy)
"""
OWN_TOOLS = {"environment__name": CLINIC, "environment__tasks": str(CLINIC_TASKS)}


@pytest.mark.parametrize(
    ("settings", "options", "made"),
    [
        pytest.param(
            ["pool.seeds=4", "policy.indices=8", "policy.seed=5"],
            {},
            {"tasks"},
            marks=pytest.mark.slow,
        ),
        ([], OWN_TOOLS, {"words"}),
    ],
    ids=["benchmark", "own tools"],
)
def test_a_worker_prepares_no_policy_and_loads_no_training_library(
    own_cache: Path, tmp_path: Path, settings: list[str], options: dict[str, str], made: set[str]
) -> None:
    settings += ["synthesis.mode=background", "stages=[{reward: progress}]"]
    config = load_config("tiny", settings, **options)
    tasks = kind_of("micro").tasks(config, lambda what, share: None)
    folder = tmp_path / "run"
    loop = Loop(config, Store(folder, durable=False), choose_seeds(tasks.train, config))
    check_settings(loop.store, config, folder)
    loop.add_groups([GroupRewards(t.id, (0.0, 0.0, 1.0, 1.0)) for t in loop.next_tasks()])
    loop.store.close()
    shutil.rmtree(own_cache)
    done = subprocess.run(
        [sys.executable, "-c", FOLLOWER, str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    jobs, candidates, errors, heavy = done.stdout.strip().split(" ", 3)
    assert int(jobs) >= int(candidates) > 0 == int(errors)
    assert heavy == "[]"
    assert kinds(own_cache) == made


@pytest.mark.slow
def test_a_resumed_run_needs_only_its_checkpoint(
    rods: Any, own_cache: Path, tmp_path: Path
) -> None:
    command = ("train", "--run", tmp_path / "run", "--env", CLINIC, "--tasks", CLINIC_TASKS)
    command += ("--preset", "tiny", "--arm", "static", "--json", "--set", "policy.tokens=1000")
    assert rods(*command, "--set", "steps=2").code == 0
    assert kinds(own_cache) == {"words", "own"}
    shutil.rmtree(own_cache)
    done = rods(*command, "--set", "steps=4")
    assert done.code == 0, done
    assert json.loads(done.out)["steps"] == 4 and kinds(own_cache) == {"words"}
