"""The README's two commands: what one leaves behind changes nothing for the other."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINTED = ("src", "tests", "examples", "experiments", "benchmarks", "docs/reference")


def test_the_lint_does_not_see_what_a_run_leaves(tmp_path: Path) -> None:
    """A folder named like a module of the tests, as `make demo` leaves it, was taken for that."""
    copied = shutil.ignore_patterns("__pycache__")
    for name in LINTED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=copied)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("runs/demo", "doubles", "rods", "kill_test"):
        (tmp_path / name).mkdir(parents=True)
    ruff = str(Path(sys.executable).with_name("ruff"))
    for command in (["check"], ["format", "--check"]):
        arguments = [ruff, *command, "--no-cache", *LINTED]
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
