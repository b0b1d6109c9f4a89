"""Runs a script of these tests in an environment that has TRL, which this one must not have."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import rods

NAME = "RODS_TRL_PYTHON"
HERE = Path(__file__).parent


def by_trl(script: str, *arguments: str, folder: Path) -> str:
    """Run it with the current folder `folder`; returns what it printed."""
    python = os.environ.get(NAME)
    assert python, f"{NAME} must name the Python of an environment with TRL; make cluster sets it"
    paths = map(str, (HERE, HERE.parent, Path(rods.__file__).parents[1]))
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
    # Not resolved: the link is what makes it the Python of its environment.
    command = [os.path.abspath(python), str(HERE / script), *arguments]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return done.stdout
