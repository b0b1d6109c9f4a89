"""A conversation is valid in OpenAI's shape whatever the agent does, and shown to people whole."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rods.envs.hints import Hinter
from rods.reward import NO_TRACE, gold_trace
from rods.rollout.episode import FAILED, Action, Ending, Episode, EpisodeLimits
from rods.rollout.messages import HINT, lines
from rods.task import Call
from test_episode import DONE, ENV, GOLD, NONSENSE, READ, TASK
from test_episode import start as begin
from test_micro_renderer import RENDERER

WRONG = Action(calls=(Call(name="get_stock_info", arguments={}), *READ.calls))


def assert_valid(messages: list[dict[str, Any]]) -> None:
    """As an API would check it: each call of a message is answered by the messages after it."""
    pending: list[str] = []
    for message in json.loads(json.dumps(messages)):
        assert isinstance(message["content"], str)
        if message["role"] == "tool":
            assert message.keys() == {"role", "content", "tool_call_id"}
            pending.remove(message["tool_call_id"])
            continue
        assert not pending and message["role"] in ("user", "assistant")
        for call in message.get("tool_calls", ()):
            assert call.keys() == {"id", "type", "function"} and call["type"] == "function"
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
            pending.append(call["id"])
        assert len(set(pending)) == len(pending)
    assert not pending


@settings(max_examples=50)
@given(st.lists(st.sampled_from([*GOLD, READ, DONE, NONSENSE, WRONG]), max_size=25))
def test_any_conversation_is_valid(actions: list[Action]) -> None:
    episode = Episode(TASK, ENV, gold_trace(TASK, ENV), EpisodeLimits(calls=1), hinter=Hinter())
    shown = episode.conversation.messages[:]
    for action in actions:
        if episode.ending is None:
            seen = episode.act(action)
            shown += [episode.conversation.messages[len(shown)], *seen]
    assert shown == episode.conversation.messages, "more than was shown, or less"
    assert_valid(episode.conversation.openai())
    ids = [c.id for m in shown for c in m.tool_calls]
    assert len(set(ids)) == len(ids)


def test_each_call_is_told_that_no_tool_fits_and_people_are_told_once() -> None:
    episode = begin()
    for action in (GOLD[0], DONE, GOLD[1], DONE):
        episode.act(action)
    calls = Action(calls=READ.calls * 3)
    seen = episode.act(calls)
    assert [m.role for m in seen] == ["tool"] * 3 + ["user"]
    assert {m.content for m in seen[:3]} == {"no tool fits this request"}
    assert_valid(episode.conversation.openai())
    assert [kind for kind, _ in lines(seen)] == ["error", "tools"]


def test_a_turn_brings_the_tools_that_it_restores() -> None:
    episode = begin()
    offered = {tool.name for tool in episode.conversation.tools}
    (withheld,) = episode.conversation.withheld
    assert withheld.name == "cancel_order" not in offered
    while episode.turn < 3:
        assert not any(message.tools for message in episode.conversation.messages)
        episode.act(DONE)
    assert episode.conversation.messages[-1].tools == (withheld,)


def test_the_first_turn_may_restore_a_tool() -> None:
    first = TASK.turns[0].model_copy(update={"restores": TASK.withheld})
    task = TASK.model_copy(update={"turns": (first, *TASK.turns[1:3])})
    conversation = Episode(task, ENV, NO_TRACE).conversation
    assert [tool.name for tool in conversation.messages[0].tools] == ["cancel_order"]
    shown = RENDERER.show(RENDERER.begin(conversation))
    assert "<without> fn:cancel_order <now> fn:cancel_order <user>" in shown


def test_a_renderer_can_tell_an_error_and_its_hint_from_a_response() -> None:
    episode = Episode(TASK, ENV, gold_trace(TASK, ENV), hinter=Hinter())
    fine, failed, read = (*episode.act(READ), *episode.act(WRONG))
    assert (fine.error, fine.hint, read.error) == (False, "", False)
    assert failed.error and failed.hint and HINT not in failed.content
    assert failed.text == failed.openai()["content"] == f"{failed.content}{HINT}{failed.hint}"
    (unread,) = episode.act(NONSENSE)
    assert (unread.role, unread.error, unread.content) == ("user", True, "nonsense")


def test_an_episode_that_was_lost_says_why_at_its_end() -> None:
    episode = Episode.lost(TASK, ENV, "the database is away")
    assert episode.ending is Ending.ENVIRONMENT_FAILURE
    assert episode.conversation.lines()[-1] == ("error", f"{FAILED}the database is away")
