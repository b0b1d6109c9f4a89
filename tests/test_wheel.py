"""The wheel in a bare virtual environment: each command works or names what to install."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from small_shop import OPTIONS, open_shop

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
BENCHMARK = "rods: bfcl-eval is not installed: pip install --no-deps bfcl-eval=="
TRAINER = "rods: torch is not installed: pip install 'rods[trl]'"
MODEL = "rods: openai is not installed: pip install 'rods[llm]'"
EXPORT = "rods: pyarrow is not installed: pip install 'rods[export]'"
WATCH = "rods: starlette is not installed: pip install 'rods[watch]'"
EPISODES = str(ROOT / "docs" / "episodes.jsonl")
ASKED = ["--backend", "llm", "--url", "http://127.0.0.1:9/v1", "--model", "m"]
ENDPOINT = ["--endpoint", *ASKED[3:], "--out", "v"]
EXPORTED = ["t.jsonl", "--env", "shop:Shop", "--out"]
# What each command says where there is nothing but the wheel: in this order, since later ones read
# what earlier ones wrote. "" where it works.
SAID = [
    (["--version"], ""),
    (["--help"], ""),
    (["train", "--run", "r"], TRAINER),
    (["train", "--run", "r", *OPTIONS, "--preset", "tiny"], TRAINER),
    (["synth", "--count", "2", "--out", "b.jsonl"], BENCHMARK),
    (["synth", "--count", "2", *OPTIONS, "--out", "t.jsonl"], ""),
    (["synth", "--count", "2", *OPTIONS, "--out", "m.jsonl", *ASKED], MODEL),
    (["synth", "--follow", "r"], "rods: r: no run here (run.sqlite is missing)"),
    (["verify", "t.jsonl", *OPTIONS], ""),
    (["verify", "t.jsonl"], BENCHMARK),
    (["review", "t.jsonl", *OPTIONS], ""),
    (["watch", "r"], WATCH),
    (["export", *EXPORTED, "e1", "--format", "trl"], ""),
    (["export", *EXPORTED, "e2", "--format", "verl"], EXPORT),
    (["export", *EXPORTED, "e3", "--format", "parquet"], EXPORT),
    (["import", "verifiers", "t.jsonl", "--out", "i"], "rods: --env: name the class"),
    (["profile", "t.jsonl", *OPTIONS], ""),
    (["profile", "t.jsonl"], BENCHMARK),
    (["score", EPISODES], BENCHMARK),
    (["eval", *ENDPOINT], BENCHMARK),
    (["eval", *ENDPOINT, *OPTIONS], MODEL),
    (["eval", "--model", "m", "--out", "v", *OPTIONS], TRAINER),
    (["compare", "--arms", "static", "--out", "c"], TRAINER),
    (["serve", *OPTIONS], "rods: openenv is not installed: pip install openenv"),
    (["audit"], BENCHMARK),
    (["play", "multi_turn_base_1"], BENCHMARK),
    (["simulate", "--tasks", "8", "--steps", "4", "--seeds", "1", "--out", "p.html"], ""),
    (["envs", "check", "shop:Shop", "--tasks", "tasks.jsonl"], ""),
]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a virtual environment that holds the wheel and what it depends on."""
    place = tmp_path_factory.mktemp("bare")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", place, ROOT], check=True)
    (wheel,) = place.glob("rods-*.whl")
    venv.create(place / "venv", with_pip=True)
    python = place / "venv" / "bin" / "python"
    subprocess.run([python, *pip[1:], "install", wheel], check=True)
    return python.with_name("rods")


def test_each_command_works_or_says_what_it_needs(bare: Path, tmp_path: Path) -> None:
    open_shop(tmp_path)
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    for arguments, error in SAID:
        before = {path.name for path in tmp_path.iterdir()}
        done = subprocess.run(
            [bare, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        if not error:
            assert (done.returncode, done.stderr) == (0, ""), arguments
            continue
        assert done.returncode == 2, arguments
        assert done.stderr.startswith(error) and done.stderr.count("\n") == 1, arguments
        assert {path.name for path in tmp_path.iterdir()} == before, arguments
    found = subprocess.run([bare, "doctor"], env=env, capture_output=True, text=True)
    assert found.returncode == 2 and "Traceback" not in found.stderr
    missing = [line for line in found.stdout.splitlines() if line.startswith("BAD")]
    assert missing and all("pip install" in line for line in missing)
    assert "make install" not in found.stdout


def test_every_command_is_tried() -> None:
    from rods.cli.commands import app

    tried = {arguments[0] for arguments, _ in SAID} | {"doctor", "report"}
    known = [str(c.callback.__name__) for c in app.registered_commands if c.callback]
    assert {name.removesuffix("_") for name in known} <= tried
