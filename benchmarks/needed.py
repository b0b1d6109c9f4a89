"""Says which packages the checks on a GPU need and this Python does not have."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = (
    *("torch", "transformers", "tokenizers", "accelerate", "datasets", "trl", "peft", "numpy"),
    *("pydantic", "yaml", "rich", "typer", "jinja2", "mpmath", "docstring_parser"),
    *("networkx", "bfcl_eval"),
)

if __name__ == "__main__":
    if absent := [name for name in NEEDED if find_spec(name) is None]:
        sys.exit(f"not installed for {sys.executable}: {', '.join(absent)}")
