"""These tests need verl, in an environment of its own: `make cluster` makes it and runs them."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
collect_ignore_glob = [] if find_spec("verl") else ["test_*"]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, whose variants two processes of Ray made."""
    from cluster_runs import drive

    if given := os.environ.get("RODS_CLUSTER_DONE"):  # one that was made before, to try tests on it
        return Path(given)
    folder = tmp_path_factory.mktemp("cluster") / "run"
    done = drive(folder, RODS_CLUSTER_MAKERS="2")
    assert done.returncode == 0, done.stdout[-8000:]
    return folder
