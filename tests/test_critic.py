"""Each gate of the critic refuses the task that is corrupted in its way."""

import sys
from typing import Any

import pytest

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import tool_specs
from rods.envs.guard import GuardedEnvironment
from rods.envs.notation import parse_calls
from rods.errors import NoProcessError
from rods.synthesis.critique import Critic, Siblings
from rods.task import Task, Turn

ENV, TOOLS = BfclEnvironment(), tool_specs()
START = {
    "GorillaFileSystem": {
        "root": {
            "home": {
                "type": "directory",
                "contents": {
                    "notes": {"type": "directory", "contents": {}},
                    "plan.txt": {"type": "file", "content": "first line"},
                },
            }
        }
    }
}
Script = tuple[tuple[str, str], ...]
BASE: Script = (
    ("enter notes", "[cd('notes')]"),
    ("make the folder old2025 there", "[mkdir('old2025')]"),
    ("how much space is used", "[du()]"),
)


def task_of(script: Script, category: str = "base", **more: Any) -> Task:
    turns = []
    for said, calls in script:
        user, _, restores = said.partition(" RESTORES ")
        turns.append(
            Turn(user=user, ground_truth=parse_calls(calls, TOOLS), restores=restores.split())
        )
    fields = {"classes": ("GorillaFileSystem",), "start": START, **more}
    return Task(category=category, turns=tuple(turns), **fields)


def miss_func(*script: tuple[str, str]) -> Task:
    return task_of(script, "miss_func", withheld=("mkdir",))


GOOD = task_of(BASE)
MISSING = miss_func(
    ("enter notes", "[cd('notes')]"), ("make old", "[]"), (" RESTORES mkdir", "[mkdir('old')]")
)


def with_turn(index: int, user: str, calls: str) -> Task:
    return task_of((*BASE[:index], (user, calls), *BASE[index + 1 :]))


@pytest.mark.parametrize("parent", [None, GOOD])
def test_an_environment_that_cannot_run_refuses_no_task(
    parent: Task | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a broken installation would look like tasks that are no good."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    task = with_turn(1, "make the folder new2025 there", "[mkdir('new2025')]")
    with pytest.raises(NoProcessError, match="environment bfcl"):
        Critic(GuardedEnvironment(ENV)).review(task, parent)


def test_sound_tasks_pass() -> None:
    assert Critic(ENV).review(GOOD) == "" == Critic(ENV, [MISSING]).review(GOOD)
    assert Critic(ENV).review(MISSING) == ""
    near = with_turn(1, "make the folder new", "[mkdir('new')]")
    assert Critic(ENV).review(near, GOOD) == ""


REFUSED = {
    "too long a text": (with_turn(1, "x" * 201, f"mkdir('{'x' * 201}')"), "plan: too large"),
    "too long a list": (
        with_turn(1, "1 , 2 , 3 , 4 , 5 , 6", "mean([1, 2, 3, 4, 5, 6])"),
        "plan: too large",
    ),
    "too many turns": (task_of((*BASE, *[("space", "du()")] * 6)), "plan: too large"),
    "withheld tool used early": (
        miss_func(("make a", "mkdir('a')"), ("make b", "[]"), (" RESTORES mkdir", "mkdir('b')")),
        "augment: tool not available",
    ),
    "withheld tool never restored": (
        miss_func(("enter notes", "cd('notes')"), ("make b", "[]"), ("now", "touch('b')")),
        "augment: not of its category",
    ),
    "restored tool not used": (
        miss_func(("enter notes", "cd('notes')"), ("make b", "[]"), (" RESTORES mkdir", "du()")),
        "augment: tool not available",
    ),
    "start of the wrong shape": (
        task_of(BASE, start={"GorillaFileSystem": {"root": {"home": {}}}}),
        "execute: start state does not load",
    ),
    "unknown class": (task_of(BASE, classes=("NoSuchAPI",)), "augment: tool not available"),
    "call that does not execute": (with_turn(1, "make", "mkdir()"), "execute: replay differs"),
    "tool of another class": (with_turn(1, "add 1 1", "add(1, 1)"), "augment: tool not available"),
    "cyclic tree": (
        with_turn(1, "nest . in x", "[mkdir('.'), cp('.', 'x')]"),
        "execute: replay differs",
    ),
    "value that nobody said": (
        with_turn(1, "make a folder", "mkdir('x')"),
        "ground: ungrounded argument",
    ),
    "value said too late": (
        task_of((("make a folder", "mkdir('x')"), ("called x", "du()"))),
        "ground: ungrounded argument",
    ),
    "value within another": (
        with_turn(1, "make the folder old2025 there", "mkdir('2025')"),
        "ground: ungrounded argument",
    ),
    "superfluous call": (
        task_of((("where", "pwd()"), ("where again and list", "[pwd(), ls()]"))),
        "plan: superfluous call",
    ),
    "nothing to do": (task_of((("hello", "[]"),)), "augment: not of its category"),
}


@pytest.mark.parametrize(("task", "gate"), REFUSED.values(), ids=REFUSED)
def test_each_gate_refuses_its_corruption(task: Task, gate: str) -> None:
    assert Critic(ENV).review(task) == gate


def test_gates_on_what_exists_already() -> None:
    other_words = task_of((("go into notes", BASE[0][1]), *BASE[1:]))
    elsewhere = (("make the folder a", "[mkdir('a')]"), ("and enter notes", "[cd('notes')]"))
    other_shape = task_of((*elsewhere, ("list it", "[ls(), du(), pwd()]")))
    other_role = task_of((*elsewhere, ("make the file b", "touch('b')")))
    assert other_words.id != GOOD.id
    critic = Critic(ENV, [GOOD])
    critic.admit(GOOD)
    assert critic.review(GOOD) == "critique: duplicate"
    assert critic.review(other_words) == "critique: near a sibling"
    assert Critic(ENV, [GOOD]).review(other_words) == "critique: near a held-out task"
    assert Critic(ENV).review(other_words, GOOD) == "critique: near its parent"
    assert Critic(ENV).review(other_shape, GOOD) == "plan: profile differs"
    assert Critic(ENV).review(other_role, GOOD) == "plan: profile differs"


def test_a_call_repeated_in_its_turn_is_superfluous() -> None:
    twice = with_turn(2, "how much space is used", "[du(), du()]")
    assert Critic(ENV).review(twice) == "plan: superfluous call"


@pytest.mark.parametrize("disguise", ["{}", "{}()", "`{}`", "_{}_", "__{}__", "({}):"])
@pytest.mark.parametrize("name", ["file_name", "file_name1"])
def test_a_name_is_found_in_any_disguise(disguise: str, name: str) -> None:
    leaking = with_turn(2, f"how much space is used {disguise.format(name)} there", "du()")
    assert Critic(ENV).review(leaking) == "ground: name leaked"


def test_a_login_that_is_refused_fails() -> None:
    start = {"TwitterAPI": {"username": "ann", "password": "sesame"}}
    for password, fault in {"sesame": "", "wrong": "execute: a call fails"}.items():
        said = f"sign in as ann with {password}"
        calls = f"authenticate_twitter('ann', '{password}')"
        task = task_of(((said, calls),), classes=("TwitterAPI",), start=start)
        assert Critic(ENV).review(task) == fault


def test_what_the_words_of_one_turn_ask_another_may_not_do() -> None:
    late = (("make the folder old2025", "pwd()"), ("where are we", "mkdir('old2025')"))
    assert Critic(ENV).review(task_of(late)) == "ground: stated in another turn"
    again = (("make the folder old2025", "mkdir('old2025')"), ("enter it", "cd('old2025')"))
    assert Critic(ENV).review(task_of(again)) == ""


def test_a_list_stands_for_the_values_in_it() -> None:
    for call, words in {"add(12, 30)": "add 12 and 30", "sum_values([12, 30])": "12 + 30"}.items():
        tool = call.partition("(")[0]
        script = ((words, "[]"), (f" RESTORES {tool}", call))
        task = task_of(script, "miss_func", classes=("MathAPI",), start={}, withheld=(tool,))
        assert Critic(ENV).review(task) == "augment: withheld tool replaceable"


def test_the_verdict_does_not_hang_on_chance() -> None:
    """`a` shows hidden files, of which there are none: an argument that changes nothing."""
    task = with_turn(2, "list all there with a true", "ls(a=True)")
    for number in range(12):
        said = f"{task.turns[0].user}, this is request {number}"
        one = task.turns[0].model_copy(update={"user": said})
        assert Critic(ENV).review(task.model_copy(update={"turns": (one, *task.turns[1:])})) == (
            Critic(ENV).review(task)
        )


def test_a_sibling_has_not_the_same_single_call() -> None:
    def once(user: str, calls: str) -> Task:
        return task_of(((user, calls),))

    siblings = Siblings()
    siblings.add(make := once("make the folder old2025 there", "[mkdir('old2025')]"))
    again = once("I would like to have a new directory, old2025", "[mkdir('old2025')]")
    assert siblings.fault(make) == "critique: duplicate"
    assert siblings.fault(again) == "critique: near a sibling"
    assert siblings.fault(once(again.turns[0].user, "[mkdir('old2025'), du()]")) == ""
    siblings.add(once("how much space is used", "[du()]"))
    assert siblings.fault(once("what do the files here need", "[du()]")) == ""
    siblings.remove(make.id)
    assert siblings.fault(again) == ""
