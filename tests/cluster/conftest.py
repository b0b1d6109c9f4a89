"""These tests need verl, in an environment of its own: `make cluster` makes it and runs them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
collect_ignore_glob = [] if find_spec("verl") else ["test_*"]
