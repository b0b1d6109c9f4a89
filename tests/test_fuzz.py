"""The hostile corpus and a few drawn strings, as the full fuzz runs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import fuzz
from rods.envs.calls import STOPPED


@pytest.mark.slow
def test_the_corpus_does_no_harm(tmp_path: Path) -> None:
    out = tmp_path / "fuzz.json"
    command = [sys.executable, fuzz.__file__, "--strings", "300", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout.endswith("harmless\n"), done.stdout + done.stderr
    counts = json.loads(out.read_text())
    assert counts["strings"] >= counts["corpus"] + 300 > 400
    stopped = sum(counts.get(f"call: {limit.value}", 0) for limit in STOPPED)
    assert stopped >= 2  # the doubled trees; a slow machine may reach another limit first
    assert counts["honest episodes harmed"] == counts["processes left"] == 0
