"""These tests need other programs, in environments of their own: `make neighbours` makes them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
PACKAGES = ("verifiers", "openenv", "nemo_gym")
collect_ignore_glob = [f"test_{name}*" for name in PACKAGES if find_spec(name) is None]
