"""The example that readers start from runs, injects and says so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "loop.py"


def test_the_short_loop_runs_without_torch() -> None:
    code = f"import runpy, sys; sys.modules['torch'] = None; runpy.run_path({str(EXAMPLE)!r})"
    code += "['main'](epochs=3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 0", "epoch 1", "epoch 2"]
    variants = [int(n) for n in re.findall(r"(\d+) of them of variants", done.stdout)]
    groups = [int(n) for n in re.findall(r": (\d+) groups", done.stdout)]
    assert variants[0] == 0 and 0 < variants[1] <= 0.25 * 24 and variants[1] < variants[2]
    assert groups[-1] > groups[0]
