"""Toolkits work as they are: methods are chosen, coroutines awaited, nested state is rebuilt."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import toolkits
from commandline import Done, refused
from rods.envs.guard import GuardedEnvironment
from rods.envs.load import load_environment
from rods.envs.python import PythonEnvironment
from rods.errors import UserError
from rods.task import Call, Task, Turn

HERE = Path(__file__).parent
ROOMS = {"rooms": {"attic": {"size": 12, "colour": "blue"}, "hall": {"size": 40}}}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.chdir(tmp_path)


def load(spec: str) -> PythonEnvironment:
    env = load_environment(",".join(f"toolkits:{name}" for name in spec.split(";")))
    assert isinstance(env, PythonEnvironment)
    return env


def task(name: str, start: Any = None) -> Task:
    begin = {} if start is None else {name: start}
    return Task(category="base", classes=(name,), start=begin, turns=(Turn(user="-"),))


def call(name: str, /, **arguments: Any) -> Call:
    return Call.model_construct(name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("spec", "tools"),
    [
        ("Shelf", ["tool_names", "statistics", "take_book", "get_books"]),
        ("Shelf[]", ["tool_names", "statistics", "take_book", "get_books"]),
        ("Shelf[-Kit]", ["take_book", "get_books"]),
        ("Shelf[ take_book , statistics ]", ["statistics", "take_book"]),
        ("Shelf[*_book*]", ["take_book", "get_books"]),
        ("Shelf[*_book*,-get_*]", ["take_book"]),
        ("Shelf[Shelf]", ["take_book", "get_books"]),
        ("OwnShelf", ["take_book", "get_books"]),
        ("OwnShelf[]", ["tool_names", "statistics", "take_book", "get_books"]),
        ("Shelf[-Kit];Courier[send]", ["take_book", "get_books", "send"]),
    ],
)
def test_tools_are_chosen(spec: str, tools: list[str]) -> None:
    env = load(spec)
    assert list(env.methods) == tools
    assert list(load_environment(env.name).specs) == tools  # as a worker loads it


def test_a_helper_with_any_arguments_is_left_out_with_a_note() -> None:
    env = load("Shelf[-statistics]")
    assert env.left_out == {
        "use_tool": "a tool cannot take **arguments; name each parameter",
        "debug": "a tool cannot take *anything; name each parameter",
        "statistics": "not chosen",
    }
    with pytest.raises(UserError, match=r"Shelf\.debug: a tool cannot take \*anything"):
        load("Shelf[debug]")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("Shelf[-nothing]", "'-nothing' is no public method and no base class"),
        ("Shelf[get_*,fly]", "'fly' is no public method and no base class"),
        ("Shelf[-Shelf,-Kit]", "no method is a tool"),
        ("Shelf[get_books", "write it as package.module:Class"),
        ("Shelf[get_books]x", "write it as package.module:Class"),
        ("Shelf;Shelf", "another class has a tool of that name"),
    ],
)
def test_a_choice_that_fits_nothing_is_named(spec: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        load(spec)
    assert told in str(error.value)


def test_the_tools_are_part_of_the_version() -> None:
    assert load("Shelf").version != load("Shelf[-Kit]").version == load("Shelf[-Kit]").version


def test_coroutines_are_awaited_in_one_loop() -> None:
    env = load("Courier")
    for where in (env, GuardedEnvironment(env)):
        session = where.open(task("Courier"))
        texts = [session.call(call("send", parcel=p)).text for p in "ab"]
        assert texts == ['{"sent": 1}', '{"sent": 2}']
        failed = session.call(call("fail"))
        assert failed.raised and failed.text.endswith("ValueError: no parcel")
        left = session.call(call("leave"))
        assert left.raised and "SystemExit" in left.text
        assert session.call(call("get_sent")).text == '["a", "b"]'
        assert session.state().data == {"Courier": {"sent": ["a", "b"]}}
        if isinstance(where, GuardedEnvironment):
            where.close()


def test_coroutines_are_awaited_where_a_loop_runs() -> None:
    session = load("Courier").open(task("Courier"))

    async def within() -> str:
        return session.call(call("send", parcel="a")).text

    assert asyncio.run(within()) == '{"sent": 1}'
    assert session.call(call("send", parcel="b")).text == '{"sent": 2}'


def test_nested_state_is_rebuilt_by_its_annotations() -> None:
    start = {
        "house": {**ROOMS, "stays": [{"guest": "ann", "nights": 2}]},
        "guests": {"ann": {"name": "ann", "since": "2026-01-02"}},
        "tags": ["x"],
        "best": {"size": 3},
        "notes": {"any": ["thing"]},
    }
    session = load("Hotel").open(task("Hotel", start))
    made = session._objects["Hotel"]
    assert isinstance(made.house, toolkits.House) and made.best == toolkits.Room(3)
    assert made.house.rooms["attic"] == toolkits.Room(12, toolkits.Colour.BLUE)
    assert made.guests["ann"].since.year == 2026 and made.tags == {"x"}
    assert made.notes == {"any": ["thing"]} and made.notes is not start["notes"]
    seen = session.call(call("check_in", room="hall", guest={"name": "bo", "since": "2026-03-04"}))
    assert seen.text == "2026-03-04"
    state = session.state().data
    assert state is not None
    assert state["Hotel"]["house"]["rooms"]["hall"]["guests"] == ["bo"]
    again = load("Hotel").open(task("Hotel", state["Hotel"]))
    assert again.state() == session.state()  # what a state is, a start can be


@pytest.mark.parametrize(
    ("name", "start", "told"),
    [
        ("Hotel", {"house": {"room": {}}}, "Hotel: house.room: there is no such field"),
        (
            "Hotel",
            {"house": {"rooms": {"a": {"size": 1, "color": "red"}}}},
            "Hotel: house.rooms.a.color: there is no such field",
        ),
        ("Hotel", {"house": {"rooms": {"a": {}}}}, "Hotel: house.rooms.a.size: "),
        ("Hotel", {"house": {"rooms": {"a": {"size": "big"}}}}, "house.rooms.a.size: "),
        (
            "Hotel",
            {"house": {"stays": [{"guest": "a", "nights": 1, "late": True}]}},
            "house.stays.0.late: there is no such field",
        ),
        (
            "Hotel",
            {"guests": {"a": {"name": "a", "since": "2026-01-02", "x": 1}}},
            "guests.a.x: there is no such field",
        ),
        ("Hotel", {"best": {"sizes": 1}}, "best.size"),
        ("Hotel", {"hause": {}}, "no public attribute 'hause'; there are ["),
        ("Hotel", [], "it must be a mapping of attributes"),
        ("Office", {}, "register is missing: Office cannot be made without it"),
        ("Office", {"register": {"names": {}, "x": 1}}, "register.x: there is no such field"),
        ("Vault", {"size": 1, "floor": 2}, "Vault: floor: there is no such field"),
    ],
)
def test_what_a_start_state_cannot_hold_is_named(name: str, start: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        load(name).open(task(name, start))
    assert told in str(error.value)


def test_an_unknown_class_in_a_start_state_is_refused() -> None:
    with pytest.raises(UserError, match="start: 'Motel' is not among the task's classes"):
        load("Hotel").open(task("Hotel").model_copy(update={"start": {"Motel": {}}}))


def test_a_constructor_gets_what_it_needs_from_the_start_state() -> None:
    start = {"register": {"names": {"a": {"name": "a", "since": "2026-01-02"}}}, "floor": 3}
    session = load("Office").open(task("Office", start))
    assert session.call(call("get_guest", name="a")).text == '{"name": "a", "since": "2026-01-02"}'
    assert session.state().data == {"Office": start}


def test_set_state_gets_what_it_asks_for() -> None:
    session = load("Vault").open(task("Vault", {"size": 4}))
    assert session.call(call("grow")).text == "5"


def write(name: str, *tasks: dict[str, Any], **head: Any) -> None:
    rows = [*([head] if head else []), *tasks]
    Path(name).write_text("\n".join(map(json.dumps, rows)))


TAKE = {
    "id": "t",
    "start": {"Shelf": {"books": {"dune": 2}}},
    "turns": [{"user": "Take dune.", "calls": ["take_book('dune')"]}],
}


def test_a_task_file_chooses_the_tools(rods: Any) -> None:
    write("tasks.jsonl", TAKE, tools=["take_*"])
    own = ("--env", "toolkits:Shelf", "--tasks", "tasks.jsonl")
    done: Done = rods("envs", "check", *own[1:2], *own[2:], "--json")
    assert list(json.loads(done.out)["methods"]) == ["take_book"]
    assert rods("export", *own, "--format", "trl", "--out", "out").code == 0
    row = json.loads(Path("out/train.jsonl").read_text())
    assert row["environment"] == "toolkits:Shelf[take_*]"
    Path("stored.jsonl").write_text(row["task"])
    for more in ("", "[take_*]"):  # what was made with a choice brings it
        named = ("--env", f"toolkits:Shelf{more}", "--tasks", "stored.jsonl")
        assert "0 of 1 tasks have faults" in rods("audit", *named).out
    named = ("--env", "toolkits:Shelf[-Kit]", "--tasks", "stored.jsonl")
    refused(rods("audit", *named), "is not toolkits:Shelf[-Kit]; name it with --env")


def test_a_task_that_names_a_tool_that_is_left_out_is_one_line(rods: Any) -> None:
    write("tasks.jsonl", TAKE)
    own = ("--env", "toolkits:Shelf[get_books]", "--tasks", "tasks.jsonl")
    told = "turns.0.calls.0: unknown tool 'take_book', which is left out: not chosen"
    refused(rods("audit", *own), "tasks.jsonl: line 1: task 't': ", told)
    helper = {**TAKE, "turns": [{"user": "-", "calls": ["debug('x')"]}]}
    write("tasks.jsonl", helper)
    own = ("--env", "toolkits:Shelf", "--tasks", "tasks.jsonl")
    refused(rods("audit", *own), "'debug', which is left out: a tool cannot take *anything")


def test_a_start_state_that_does_not_fit_is_one_line(rods: Any) -> None:
    turns = [{"user": "How large is the hall?", "calls": ["get_size('hall')"]}]
    for start, told in (
        ({"Hotel": {"house": {"room": {}}}}, "start state of Hotel: house.room: there is no such"),
        ({"Motel": {}}, "start: 'Motel' is not among the task's classes"),
    ):
        write("tasks.jsonl", {"id": "h", "start": start, "turns": turns})
        done = rods("audit", "--env", "toolkits:Hotel", "--tasks", "tasks.jsonl")
        refused(done, f"tasks.jsonl: line 1: task 'h': {told}")
    Path("broken.py").write_text("import nothing_of_this_name\n")
    refused(rods("envs", "check", "broken:A"), "broken cannot be imported: ModuleNotFoundError")
