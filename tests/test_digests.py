"""Responses and states do not depend on the process."""

import subprocess
import sys
from pathlib import Path

import pytest

import digests


@pytest.mark.slow
def test_ground_truths_are_the_same_in_any_process() -> None:
    script = Path(digests.__file__)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "803 of 803 equal in 4 processes\n", done.stdout[-500:]


def test_a_leak_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    leaky = tmp_path / "leaky.py"
    leaky.write_text("import json; print(json.dumps({'a': str({'x', 'y', 'z', 'w'}), 'b': '1'}))")
    monkeypatch.setattr(digests, "__file__", str(leaky))
    assert digests.main() == 1
    assert "1 of 2 equal" in capsys.readouterr().out
