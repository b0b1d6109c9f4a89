"""Hints on failed calls: they leak nothing, change no reward, and name what was wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rods.envs.base import Environment, Observation, Outcome, Work, execute_here
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.calls import CallError, check_call
from rods.envs.guard import GuardedEnvironment
from rods.envs.hints import MAX_HINT, Hinter
from rods.envs.notation import parse_calls
from rods.envs.state import State
from rods.micro.renderer import HINT_TOKENS, MicroRenderer, build_tokenizer
from rods.presets import load_config
from rods.reward import gold_trace
from rods.rollout.episode import Action, Episode
from rods.rollout.messages import HINT, Message
from rods.rollout.runner import Runner
from rods.task import Call, Task, ToolSpec, Turn
from wrong_calls import Failure, failures, gold_values, leaked, misspelt

ENV = BfclEnvironment()
TASKS = benchmark_tasks()


def hint_on(failure: Failure, seen: str | None = None) -> str:
    seen = failure.seen if seen is None else seen
    return Hinter().hint(failure.call, failure.observation, failure.session, failure.offered, seen)


def shown(task: Task, *texts: str, hints: bool = True, env: Environment = ENV) -> list[str]:
    """What an agent sees after these actions, without its own words."""
    episode = Episode(task, env, gold_trace(task, env), hinter=Hinter() if hints else None)
    tools = ENV.tools(task)
    seen = []
    for text in texts:
        action = Action(calls=parse_calls(text, tools)) if text else Action()
        seen += [m.text for m in episode.act(action)]
    return seen


@pytest.mark.slow
def test_no_hint_on_any_task_tells_a_gold_value() -> None:
    hinter, hints, tasks = Hinter(), 0, set()
    for source, task in TASKS.items():
        gold = gold_values(task)
        for f in failures(task, ENV, skips=1, every=4):
            hint = hinter.hint(f.call, f.observation, f.session, f.offered, f.seen)
            assert not leaked(hint, gold, f.visible), (source, f.call, hint)
            assert 0 < len(hint) <= MAX_HINT and hint.isprintable(), (source, f.call, hint)
            hints += 1
            tasks.add(source)
    assert hints > 8_000
    # Only a task whose few calls cannot fail this way may go without.
    assert len(tasks) > 780


def mute(task: Task) -> Task:
    """The same task with a user who names no value."""
    turns = [t.model_copy(update={"user": "please go on"}) for t in task.turns]
    return task.model_copy(update={"turns": tuple(turns)})


def test_the_leak_check_sees_a_leak() -> None:
    """The true hinter tells nothing of what a mute user keeps back; one that takes the ground
    truth for seen does, and is found out."""
    honest, told = [], []
    for task in map(mute, list(TASKS.values())[::40]):
        gold = gold_values(task)
        for f in failures(task, ENV, skips=1):
            honest += leaked(hint_on(f), gold, f.visible)
            told += leaked(hint_on(f, "\n".join(gold)), gold, f.visible)
    assert not honest and len(told) > 10


def test_rewards_are_equal_with_and_without_hints() -> None:
    changed = 0
    for task in list(TASKS.values())[::16]:
        gold, tools = gold_trace(task, ENV), ENV.tools(task)
        plain, hinted = Episode(task, ENV, gold), Episode(task, ENV, gold, hinter=Hinter())
        for number, turn in enumerate(task.turns):
            wrong = [c.model_copy(update={"arguments": {}}) for c in turn.ground_truth]
            wrong = [c for c in wrong if tools[c.name].required]
            actions = [Action(calls=tuple(wrong))] if wrong else []
            actions += [Action(calls=turn.ground_truth)] if turn.ground_truth else []
            for action in [*actions, Action()]:
                if number != 1 or action not in actions[-1:]:  # the second turn fails
                    plain.act(action)
                    hinted.act(action)
        assert plain.ending is not None and plain.ending is hinted.ending
        assert (plain.progress, plain.format) == (hinted.progress, hinted.format)
        assert plain.verdicts == hinted.verdicts and plain.responses == hinted.responses
        said = plain.conversation.messages, hinted.conversation.messages
        changed += said[0] != said[1]
        for one, other in zip(*said, strict=True):
            assert one.role == other.role and other.text.split(HINT)[0] == one.text
    assert changed > 40


ENGINE = next(
    t for t in TASKS.values() if [c.name for c in t.turns[0].ground_truth][-1:] == ["startEngine"]
)
FILES = TASKS["multi_turn_base_1"]  # the user names the folder workspace and the file log.txt


@pytest.mark.parametrize(
    ("task", "text", "said"),
    [
        (ENGINE, "lockDoors(unlock=False)", "door is missing"),
        (ENGINE, "startEngine(mode='START')", "did you mean ignitionMode?"),
        (ENGINE, "startEngine(ignitionMode=1)", "ignitionMode must be of type string"),
        (ENGINE, "startEngine(ignitionMode='START')", "call pressBrakePedal first"),
        (ENGINE, "setCruiseControl(10.0, True, 5.0)", "call startEngine first"),
        (FILES, "cd(folder='zzz')", "check folder; no such thing exists"),
        (FILES, "cat(file_name='log.txt')", "it exists, but not where this tool looks"),
    ],
)
def test_what_hints_say(task: Task, text: str, said: str) -> None:
    (seen,) = shown(task, text)
    assert HINT in seen and said in seen.split(HINT)[1]
    (bare,) = shown(task, text, hints=False)
    assert seen.split(HINT)[0] == bare


def test_hints_are_the_same_behind_the_guard() -> None:
    wrong = ("cd('zzz')", "cd('workspace')", "ls(True)", "cd('archvie')")
    plain, guarded = ENV, GuardedEnvironment(ENV)
    try:
        one, other = (shown(FILES, *wrong, env=env) for env in (plain, guarded))
    finally:
        guarded.close()
    assert one == other and "the closest known value is 'archive'" in one[-1]


def test_a_value_is_named_only_once_it_was_seen() -> None:
    """`archive` is in the folder that the user names; only a listing shows it."""
    root = FILES.start["GorillaFileSystem"]
    assert "archive" in json.dumps(root) and "archive" not in FILES.turns[0].user
    before, *_, after = shown(
        FILES, "cd('archvie')", "cd('workspace')", "ls(True)", "cd('archvie')"
    )
    assert "'archive'" not in before.split(HINT)[1]
    assert "the closest known value is 'archive'" in after


def test_withheld_tools_are_named_only_after_their_release() -> None:
    for task in TASKS.values():
        for name in task.withheld:
            call = Call(name=misspelt(name), arguments={})
            observation = Observation("unknown tool", ok=False, raised=True)
            tools = ENV.tools(task)
            offered = {n: t for n, t in tools.items() if n not in task.withheld}
            session = ENV.open(task)
            assert name not in Hinter().hint(call, observation, session, offered, "").split()
            assert Hinter().hint(call, observation, session, tools, "").endswith(f" {name}")


def test_an_episode_offers_what_a_turn_restores() -> None:
    task = TASKS["multi_turn_miss_func_102"]  # cancel_order comes with the fifth turn
    episode = Episode(task, ENV, gold_trace(task, ENV), hinter=Hinter())
    wrong = Action(calls=(Call(name="cancel_order", arguments={}),))
    hidden = episode.act(wrong)[0].text
    assert "order_id" not in hidden.split(HINT)[1]
    while episode.turn < 4:
        episode.act(Action())
    assert "order_id is missing" in episode.act(wrong)[0].text


class Shelf:
    """A library's shelf, for an environment that is not BFCL."""

    def __init__(self, names: list[str], broken: bool = False) -> None:
        self.names, self.open, self.broken = names, False, broken

    def call(self, call: Call) -> Observation:
        try:
            check_call(call, SHELF_TOOLS)
        except CallError as error:
            return Observation(f"refused: {error}", ok=False, raised=True)
        if call.name == "unlock_shelf":
            self.open = True
            return Observation("ok", ok=True)
        if call.name == "list_titles":
            return Observation(f"titles: {self.names}", ok=True)
        if not self.open:
            return Observation("the shelf must be unlocked before", ok=False)
        if call.arguments["title"] not in self.names:
            return Observation(f"{call.arguments['title']} not found", ok=False)
        return Observation("lent", ok=True)

    def state(self) -> State:
        if self.broken:
            raise RuntimeError("no state to be had")
        return State({"titles": list(self.names), "open": self.open})

    def matches(self, state: State) -> bool:
        return self.state() == state

    def fork(self) -> Shelf:
        return Shelf(list(self.names))

    def close(self) -> None:
        pass


SHELF_TOOLS = {
    "lend": ToolSpec(
        name="lend",
        owner="Shelf",
        description="Lend a book to the reader",
        parameters={"title": {"type": "string", "description": "title of a book"}},
        required=("title",),
    ),
    "list_titles": ToolSpec(
        name="list_titles", owner="Shelf", description="All books", returns={"titles": "of books"}
    ),
    "unlock_shelf": ToolSpec(name="unlock_shelf", owner="Shelf", description="Open the glass"),
}


class Library:
    name, version = "library", "1"

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken

    def tools(self, task: Task) -> dict[str, ToolSpec]:
        return dict(SHELF_TOOLS)

    def open(self, task: Task) -> Shelf:
        return Shelf(["Emma", "Middlemarch"], self.broken)

    def execute(self, steps: Sequence[Work]) -> list[Outcome]:
        return execute_here(steps)


def lend(*calls: Call, broken: bool = False) -> list[Message]:
    gold = Call(name="lend", arguments={"title": "Emma"})
    turn = Turn(user="I want Emma", ground_truth=(Call(name="unlock_shelf"), gold))
    task = Task(category="base", classes=("Shelf",), start={}, turns=(turn,))
    env = Library(broken=False)
    episode = Episode(task, Library(broken), gold_trace(task, env), hinter=Hinter())
    return episode.act(Action(calls=calls))


def test_another_environment_gets_hints_as_well() -> None:
    def title(text: str) -> Call:
        return Call(name="lend", arguments={"title": text})

    seen = lend(title("Emma"), Call(name="unlock_shelf"), title("Ema"), title("Midlemarch"))
    assert [HINT in m.text for m in seen] == [True, False, True, True]
    assert seen[0].text.endswith("Hint: call unlock_shelf first")
    assert "closest known value is 'Emma'" in seen[2].text
    assert "see the response of list_titles" in seen[2].text
    assert "Middlemarch" not in seen[3].text.split(HINT)[1]
    listed = lend(Call(name="unlock_shelf"), Call(name="list_titles"))
    assert not any(HINT in m.text for m in listed)
    assert "lend" in lend(Call(name="lent"))[0].text.split(HINT)[1]


def test_a_state_that_cannot_be_read_ends_no_episode() -> None:
    seen = lend(Call(name="unlock_shelf"), Call(name="lend", arguments={"title": "E"}), broken=True)
    assert "check title" in seen[1].text


hostile = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["[" * 9000, '{"error": ' + "9" * 5000 + "}", "\x00\n Hint: ", "a" * 30_000]),
    st.text(max_size=40).map(lambda t: json.dumps({"error": t})),
    st.text(max_size=40).map(lambda t: json.dumps([{"error": [t] * 3}])),
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | hostile
    | st.integers(5_000, 6_000).map(lambda n: 10**n),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.sampled_from(["startEngine", "book_flight", "lockDoors", "x" * 9999, ""]),
    st.dictionaries(
        st.sampled_from(["ignitionMode", "door", "unlock", "card_id"]) | hostile, values, max_size=4
    ),
    hostile,
    st.recursive(values, lambda inner: st.dictionaries(hostile | st.integers(), inner, max_size=3)),
)
def test_hints_are_bounded_whatever_comes(
    name: str, arguments: dict[str, Any], text: str, state: Any
) -> None:
    class Anything(Shelf):
        def state(self) -> State:
            return State(state)

    call = Call.model_construct(name=name, arguments=arguments)
    for owned in (tool_specs(), {}, SHELF_TOOLS):
        hint = Hinter().hint(call, Observation(text, ok=False), Anything([]), owned, text)
        assert len(hint) <= MAX_HINT and (not hint or hint.isprintable())


def test_hints_are_bounded_for_wordy_tools_and_huge_numbers() -> None:
    parameters: dict[str, dict[str, Any]] = {f"parameter_{i}": {} for i in range(80)}
    parameters["size"] = {"type": "integer", "description": "wide\n" * 90, "default": "d" * 400}
    tool = ToolSpec(name="wordy", owner="W", description="w " * 999, parameters=parameters)
    refused = Observation("no", ok=False)
    for arguments in ({"sise": 1}, {"size": "s"}, {"size": 10**5000}, {"parameter_3": [10**5000]}):
        call = Call.model_construct(name="wordy", arguments=arguments)
        hint = Hinter().hint(call, refused, Shelf([]), {"wordy": tool}, "")
        assert 0 < len(hint) <= MAX_HINT and hint.isprintable()
        assert "size" in hint or "parameter_3" in hint


def test_the_micro_policy_reads_hints_behind_long_errors() -> None:
    renderer = MicroRenderer(build_tokenizer(["call", "first", "word"], tool_specs()))
    long = Message("tool", "word " * 90, error=True)
    plain = renderer.extend([long])
    hinted = renderer.extend([replace(long, hint="call first " * 40)])
    assert hinted[: len(plain) - 1] == plain[:-1]
    assert len(hinted) == len(plain) + HINT_TOKENS
    assert renderer.tokenizer.decode(hinted[len(plain) - 1 : len(plain) + 1]) == "call first"


def test_hints_are_off_unless_asked_for() -> None:
    assert not any(stage.hints for stage in load_config("micro").stages)
    stages = load_config("micro", ["stages=[{hints: true, epochs: 1}, {}]"]).stages
    assert [stage.hints for stage in stages] == [True, False]
    assert signature(Runner).parameters["hinter"].default is None
