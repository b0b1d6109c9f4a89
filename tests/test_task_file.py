"""Task files are read whole or refused with the place that is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from rods.envs.guard import GuardedEnvironment
from rods.envs.load import load_environment
from rods.envs.task_file import TaskEntry, read_task_file
from rods.errors import UserError
from rods.files.plain_data import MOST_DEPTH
from rods.files.tasks import read_tasks, write_tasks
from rods.store.store import Store
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
        return read_task_file(path, env)

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
        ({**GOOD, "category": ""}, "line 1: category: "),
        ({**GOOD, "category": 5}, "line 1: category: "),
        ({**GOOD, "category": "x" * 61}, "line 1: category: "),
        ({**GOOD, "category": "a\x1b[2J"}, "line 1: category: has a character that cannot be"),
        ({**GOOD, "category": " a"}, "line 1: category: begins or ends with a space"),
        ({**GOOD, "category": "overall"}, "line 1: category: 'overall' means all"),
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
        (turn(user=3), "(id 'one')"),
        ({**GOOD, "id": "a\x1b[2J"}, "line 1: id: has a character that cannot be printed"),
        ({**GOOD, "start": {"Clinics": {}}}, "start: 'Clinics' is not among the task's classes"),
        ({**GOOD, "start": {"Clinic": {"a": float("nan")}}}, "start.Clinic.a: not a finite number"),
        ({**GOOD, "start": {"Clinic": {"a": 2**63}}}, "start.Clinic.a: an integer beyond 64 bits"),
        ({**GOOD, "start": {"Clinic": {"\ud83d": 1}}}, "start.Clinic: '\\ud83d' is half of a"),
        ({**GOOD, "withheld": ["\ud83d"]}, "withheld.0: '\\ud83d' is half of a character"),
        ({**GOOD, "classes": ["\ud83d"]}, "classes.0: '\\ud83d' is half of a character"),
        (turn(user="\ud83d"), "line 1: turns.0.user: '\\ud83d' is half of a character"),
        (turn(restores=["\ud83d"]), "turns.0.restores.0: '\\ud83d' is half of a character"),
        (turn(calls=["find_patient('\\ud83d')"]), "turns.0.calls.0: name: '\\ud83d' is half of a"),
        (turn(calls=["find_patient(1e999)"]), "turns.0.calls.0: name: not a finite number"),
        (turn(calls=["find_patient({1: 2})"]), "turns.0.calls.0: name: the key 1 is not text"),
        (turn(calls=["find_patient({1, 2})"]), "turns.0.calls.0: name: a set; only"),
        (turn(calls=["find_patient({'a': 1, 'a': 2})"]), "turns.0.calls.0: the key 'a' appears"),
        (
            turn(calls=['{"name": "find_patient", "arguments": {"name": "A", "name": "B"}}']),
            "turns.0.calls.0: the key 'name' appears twice",
        ),
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


@pytest.mark.parametrize("name", ["tasks.jsonl", "tasks.yaml"])
def test_a_key_stands_once(read: Any, name: str) -> None:
    text = json.dumps(GOOD)[:-3] + ', "calls": []}]}'
    with pytest.raises(UserError, match=r"turns\.0: the key 'calls' appears twice.*\(id 'one'\)"):
        read(f"[{text}]" if name.endswith("yaml") else text, name)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.yaml"])
def test_the_same_tasks_however_they_are_saved(read: Any, name: str) -> None:
    rows = [GOOD, turn(user="other") | {"id": "two"}]
    wanted = read(rows)
    text = "\n".join(map(json.dumps, rows)) if name == "a.jsonl" else json.dumps(rows, indent=1)
    for form in (text, text + "\n", text.replace("\n", "\r\n"), "\ufeff" + text):
        assert read(form, name) == wanted


def test_yaml_means_the_text_that_it_says(read: Any) -> None:
    text = "- id: one\n  start: {Clinic: {patients: {p: {on: 12:30, 2024-01-01: 010, no: 1e1}}}}\n"
    (task,) = read(text + "  turns: [{user: yes}]\n", "a.yaml")
    wanted = {"on": "12:30", "2024-01-01": 10, "no": 10.0}
    assert task.start == {"Clinic": {"patients": {"p": wanted}}}
    assert task.turns[0].user == "yes"


def test_all_of_the_text_is_read_before_anything_is_executed(read: Any) -> None:
    fails = turn(user="-", calls=["find_patient()"])
    with pytest.raises(UserError, match="line 2: not JSON"):
        read(json.dumps(fails) + "\n{")


@pytest.mark.parametrize("text", ["\0", "\x1b[2J", "\u2028", "\x85", "\ufeff", "😀", "\U0010ffff"])
def test_what_is_read_can_be_stored(read: Any, text: str, tmp_path: Path) -> None:
    deep: Any = {text: [text, 2**63 - 1, -(2**63), 1e308]}
    for _ in range(MOST_DEPTH - 9):
        deep = [deep]
    start = {"Clinic": {"appointments": {"a": {text: deep}}}}
    (task,) = read([turn(user=text, calls=[f"find_patient({text!r})"]) | {"start": start}])
    store = Store(tmp_path / "run")
    store.add_tasks([task], 0)
    stored = store.tasks()
    store.close()
    write_tasks(tmp_path / "out.jsonl", [task])
    assert list(stored.values()) == read_tasks(tmp_path / "out.jsonl") == [task]


def test_an_id_stands_once(read: Any) -> None:
    with pytest.raises(UserError, match="line 2: id: 'one' appears twice"):
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
    with pytest.raises(UserError, match="task 'one': a second session gives other results"):
        read_task_file(path, load_environment("dice:Dice"))


ODD = """
class Odd:
    \"\"\"A tool whose answers and states are odd.\"\"\"

    def __init__(self) -> None:
        self.kept: dict = {}

    def keep(self, items: list) -> str:
        \"\"\"Keep items.\"\"\"
        self.kept["items"] = items
        return repr(items)

    def answer(self, what: str) -> object:
        \"\"\"Answer.\"\"\"
        return {"half": "\\ud83d", "nan": float("nan"), "huge": 10**30, "endless": 10**5000}[what]

    def become(self, what: str) -> str:
        \"\"\"Change the state.\"\"\"
        self.kept["it"] = self.answer(what)
        return "done"
"""


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "odd.py").write_text(ODD)
    monkeypatch.syspath_prepend(str(tmp_path))
    env = GuardedEnvironment(load_environment("odd:Odd"))

    def run(call: str) -> Task:
        path = tmp_path / "tasks.jsonl"
        path.write_text(json.dumps({"id": "one", "turns": [{"user": "-", "calls": [call]}]}))
        (task,) = read_task_file(path, env)
        return task

    yield run
    env.close()


def test_a_tuple_is_the_list_that_is_stored(played: Any) -> None:
    task = played("keep((1, ('a', None)))")
    assert task.calls[0].arguments == {"items": [1, ["a", None]]}
    assert played("keep([1, ['a', None]])") == task


@pytest.mark.parametrize("what", ["half", "nan", "huge"])
def test_what_a_tool_answers_may_be_odd(played: Any, what: str) -> None:
    assert played(f"answer('{what}')").record and played(f"become('{what}')").record


def test_a_state_that_no_answer_can_reach_is_told(played: Any) -> None:
    with pytest.raises(UserError, match=r"turns\.0\.calls\.0: fails: .*ValueError"):
        played("answer('endless')")
    with pytest.raises(UserError, match=r"turns\.0: the state after it cannot be serialised"):
        played("become('endless')")
