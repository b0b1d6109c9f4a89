"""What each module of the tests and each benchmark shows: the first sentence of its docstring."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from reference.errors import UndescribedError
from reference.markdown import linked, table

ROOT = Path(__file__).parents[2]
KINDS = {
    "Benchmarks and experiments": ("benchmarks/*.py", "experiments/*.py"),
    "Tests": ("tests/test_*.py", "tests/cluster/test_*.py", "tests/neighbours/test_*.py"),
}


def modules(kind: str) -> Iterator[Path]:
    """The modules that can be run, in the order of their names."""
    for pattern in KINDS[kind]:
        for file in sorted(ROOT.glob(pattern)):
            if file.name.startswith("test_") or "__main__" in file.read_text("utf-8"):
                yield file


def first_sentence(file: Path) -> str:
    """What a module says of itself.

    Raises:
        UndescribedError: it has no docstring.
    """
    said = ast.get_docstring(ast.parse(file.read_text("utf-8")))
    if not said:
        raise UndescribedError(f"{file} has no docstring")
    words = " ".join(said.split("\n\n")[0].split())
    return words.split(": `python ")[0].removesuffix(".").removesuffix(":") + "."


def text() -> str:
    """All modules as Markdown."""
    parts = []
    for kind in KINDS:
        found = [(f"`{f.relative_to(ROOT)}`", linked(first_sentence(f))) for f in modules(kind)]
        parts += [f"## {kind}", table(("module", "what it shows"), found)]
    return "\n\n".join(parts)
