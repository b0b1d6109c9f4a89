"""What the cache holds is of this code: other code, also of the same version, makes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from rods.cache import cached, package_digest
from rods.micro import benchmark, own
from rods.policies.registry import kind_of
from rods.presets import load_config

CLINIC = {
    "environment__name": "examples.clinic.tools:Clinic",
    "environment__tasks": str(Path(__file__).parents[1] / "examples" / "clinic" / "tasks.yaml"),
}


def folders(cache: Path) -> list[str]:
    """Kinds of the folders in a cache."""
    return sorted(path.name.rpartition("-")[0] for path in cache.iterdir())


def test_a_folder_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RODS_CACHE", str(tmp_path))
    made: list[Path] = []
    for key in ("one", "one", "two"):
        cached("thing", [key], lambda folder: {"made": made.append(folder)})
    assert len(made) == 2 and folders(tmp_path) == ["thing", "thing"]


def test_the_digest_is_of_all_code(tmp_path: Path) -> None:
    package = tmp_path / "one"
    (package / "part" / "__pycache__").mkdir(parents=True)
    (package / "part" / "words.py").write_text("GREETING = 'hello'\n")
    before = package_digest(package)
    (package / "part" / "__pycache__" / "words.cpython-311.pyc").write_bytes(b"compiled")
    assert package_digest(package) == before
    (package / "part" / "words.py").write_text("GREETING = 'hallo'\n")
    changed = package_digest(package)
    (package / "part" / "words.py").rename(package / "words.py")
    assert len({before, changed, package_digest(package)}) == 3


@pytest.mark.parametrize(
    ("module", "named", "kinds"),
    [(benchmark, {}, ["micro", "tasks"]), (own, CLINIC, ["own", "words"])],
    ids=["benchmark", "own tools"],
)
def test_what_other_code_made_is_not_used(
    module: object, named: dict[str, str], kinds: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(Path(__file__).parents[1])
    monkeypatch.setenv("RODS_CACHE", str(tmp_path))
    small = ["policy.tokens=1000", "policy.dialogues=100"]
    config = load_config("tiny", small, arm="static", **named)
    kind = kind_of(config.policy.name)

    def prepare() -> list[str]:
        tasks = kind.tasks(config, lambda *_: None)
        kind.load(config, tasks, None, lambda *_: None)
        return folders(tmp_path)

    assert prepare() == prepare() == kinds
    monkeypatch.setattr(module, "code_digest", lambda: "of another commit")
    assert prepare() == sorted([*kinds, *kinds])
