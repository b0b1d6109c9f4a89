"""Task files are read whole or refused with the place that is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from rods.envs.load import load_environment
from rods.envs.task_file import TaskEntry, read_task_file
from rods.errors import UserError
from rods.task import Task

ROOT = Path(__file__).parent.parent
GOOD: dict[str, Any] = {
    "id": "one",
    "start": {"Clinic": {"patients": {"P001": {"name": "A", "species": "cat", "owner": "B"}}}},
    "turns": [{"user": "Find A.", "calls": ["find_patient('A')"]}],
}


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(ROOT)
    env = load_environment("examples.clinic.tools:Clinic")

    def run(content: str | bytes | list[dict[str, Any]], name: str = "tasks.jsonl") -> list[Task]:
        if isinstance(content, list):
            content = "\n".join(map(json.dumps, content))
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_task_file(path, env, ("Clinic",))

    return run


def test_yaml_and_json_lines_give_the_same_task(read: Any) -> None:
    (one,) = read([GOOD])
    (two,) = read(json.dumps([GOOD]), "tasks.yaml")
    assert one == two and one.id == two.id
    assert one.environment == "examples.clinic.tools:Clinic"
    assert one.calls[0].arguments == {"name": "A"}


def turn(**fields: Any) -> dict[str, Any]:
    return {**GOOD, "turns": [fields]}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**GOOD, "id": ""}, "line 1: id"),
        ({**GOOD, "turns": []}, "line 1: turns"),
        ({**GOOD, "extra": 1}, "line 1: extra"),
        ({**GOOD, "category": "easy"}, "line 1: category"),
        ({**GOOD, "classes": ["Nonesuch"]}, "unknown tool 'find_patient'"),
        ({**GOOD, "start": {"Clinic": {"cats": 1}}}, "no public attribute 'cats'"),
        ({**GOOD, "withheld": ["fly"]}, "withheld: no tool 'fly'"),
        ({**GOOD, "withheld": ["add_note"]}, "no turn restores 'add_note'"),
        (turn(user="-", restores=["add_note"]), "'add_note' is not withheld"),
        (turn(user="-", calls=["fly()"]), "turns.0.calls.0: unknown tool 'fly'"),
        (turn(user="-", calls=["find_patient("]), "turns.0.calls.0: not a list of calls"),
        (turn(user="-", calls=["find_patient(name=open('x'))"]), "is no literal"),
        (turn(user="-", calls=["find_patient()"]), "turns.0.calls.0: fails"),
        (turn(user=3), "turns.0.user"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_what_is_wrong_is_named(read: Any, row: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        read([row])
    assert told in str(error.value) and "tasks.jsonl" in str(error.value)


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        ("", "a.jsonl", "no tasks"),
        ("{", "a.jsonl", "line 1: not JSON"),
        (b'{"id": "\xe9"}', "a.jsonl", "not UTF-8 at byte 8"),
        ("a: [", "a.yaml", "not YAML"),
        ("id: one", "a.yaml", "must be a list of tasks"),
        ("- &a [x]\n- [*a, *a]", "a.yaml", "line 2: aliases are not read"),
        ("- !!python/object/apply:os.system ['touch X']", "a.yaml", "not YAML"),
    ],
)
def test_a_file_that_is_none_is_named(read: Any, content: Any, name: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        read(content, name)


def test_an_id_stands_once(read: Any) -> None:
    with pytest.raises(UserError, match="line 2: id: 'one' stands there twice"):
        read([GOOD, GOOD])


def test_the_page_names_every_field() -> None:
    page = (ROOT / "docs" / "environments.md").read_text("utf-8")
    for model in (TaskEntry, TaskEntry.model_fields["turns"].annotation.__args__[0]):  # type: ignore[union-attr]
        for name in model.model_fields:
            assert f"| `{name}` |" in page


def test_a_task_stands_once(read: Any) -> None:
    """Under whatever id: the content makes the task."""
    other = GOOD | {"id": "two"}
    with pytest.raises(UserError, match="line 3: 'two' is the same task as 'one'; remove one"):
        read([GOOD, turn(user="other") | {"id": "three"}, other])


RANDOM = """
import uuid


class Dice:
    \"\"\"A tool that never answers the same.\"\"\"

    def roll(self) -> str:
        \"\"\"Roll.\"\"\"
        return uuid.uuid4().hex
"""


def test_tools_that_answer_at_random_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dice.py").write_text(RANDOM)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps({"id": "one", "turns": [{"user": "roll", "calls": ["roll()"]}]}))
    with pytest.raises(UserError, match="task 'one': a second session gives other responses"):
        read_task_file(path, load_environment("dice:Dice"), ("Dice",))
