"""Sessions share nothing, and what they tell of their state stays true."""

import copy

import pytest

from rods.envs.base import Session
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.notation import parse_calls
from rods.scoring import score
from rods.task import Task, Turn

ENV, TOOLS = BfclEnvironment(), tool_specs()


def open_(owner: str, category: str = "base", **start: object) -> Session:
    turns = (Turn(user="-"),)
    return ENV.open(Task(category=category, classes=(owner,), start={owner: start}, turns=turns))


def say(session: Session, *calls: str) -> list[str]:
    return [session.call(call).text for text in calls for call in parse_calls(text, TOOLS)]


@pytest.mark.parametrize(
    "calls",
    [
        "[mkdir('.'), cp('.', 'x')]",
        "[mkdir('d'), cd('d'), mkdir('s'), cd('..'), cp('d', 'e'), mv('e', 'd'), cd('d'), "
        "mv('e', 's')]",
        "[" + ", ".join(["mkdir('d'), cd('d')"] * 450) + "]",
    ],
    ids=["in itself", "in itself by way of a shared folder", "bottomless"],
)
def test_a_cyclic_or_bottomless_tree_fails_its_turn(calls: str) -> None:
    gold, after = parse_calls("pwd()", TOOLS), parse_calls("ls()", TOOLS)
    turns = tuple(Turn(user="-", ground_truth=calls) for calls in (gold, after))
    task = Task(category="base", classes=("GorillaFileSystem",), start={}, turns=turns)
    verdicts = score(task, ENV, [[*gold, *(2 * parse_calls(calls, TOOLS))], after])
    assert [v.passed for v in verdicts] == [False, False]
    assert verdicts[0].exec


def test_a_snapshot_is_not_changed_by_later_calls() -> None:
    for name, task in list(benchmark_tasks().items())[::9]:
        session = ENV.open(task)
        before = session.state()
        kept = copy.deepcopy(before)
        for call in task.calls:
            session.call(call)
        assert before == kept, name


def test_tweets_share_no_default_lists() -> None:
    first, second = (open_("TwitterAPI", authenticated=True) for _ in range(2))
    say(first, "post_tweet('hi')", "mention(0, ['@a'])")
    assert first.state().data["TwitterAPI"]["tweets"][0]["mentions"] == ["@a"]
    say(first, "post_tweet('again')")
    say(second, "post_tweet('hello')")
    assert first.state().data["TwitterAPI"]["tweets"][1]["mentions"] == []
    assert second.state().data["TwitterAPI"]["tweets"][0]["mentions"] == []


def test_long_context_tables_are_not_shared() -> None:
    def traveller() -> Session:
        owner = {"access_token": "t", "token_expires_in": 9, "budget_limit": 100.0}
        return open_("TravelAPI", "long_context", **owner)

    first, bystander = traveller(), traveller()
    pristine = copy.deepcopy(bystander.state().data["TravelAPI"])
    card, booking = (next(iter(pristine[k])) for k in ("credit_card_list", "booking_record"))
    (said,) = say(first, f"book_flight('t', '{card}', '2026-01-01', 'SFO', 'LAX', 'economy')")
    assert '"booking_status": true' in said
    paid = first.state().data["TravelAPI"]["credit_card_list"][card]["balance"]
    assert paid < pristine["credit_card_list"][card]["balance"]
    assert bystander.state().data["TravelAPI"] == pristine == traveller().state().data["TravelAPI"]
    assert say(first, f"cancel_booking('t', '{booking}')") == ['{"cancel_status": true}']
    assert bystander.state().data["TravelAPI"] == pristine == traveller().state().data["TravelAPI"]


def test_a_fork_is_independent_both_ways() -> None:
    for name, task in list(benchmark_tasks().items())[3::25]:
        session = ENV.open(task)
        middle = len(task.calls) // 2
        for call in task.calls[:middle]:
            session.call(call)
        fork, kept = session.fork(), copy.deepcopy(session.state())
        assert fork.state() == kept
        seen = [fork.call(call) for call in task.calls[middle:]]
        assert session.state() == kept, name
        kept = copy.deepcopy(fork.state())
        assert [session.call(call) for call in task.calls[middle:]] == seen, name
        assert fork.state() == kept == session.state(), name
