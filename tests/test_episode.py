"""The episode's state machine: every ending, every count, by scripted actions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rods.envs.bfcl import BfclEnvironment, BfclSession
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.notation import parse_calls
from rods.reward import format_reward, gold_trace
from rods.rollout.episode import Action, Ending, Episode, EpisodeLimits
from rods.rollout.messages import Message, lines
from rods.task import Task

ENV = BfclEnvironment()
# Six turns of one call; in the third the right answer is to call nothing.
TASK = benchmark_tasks()["multi_turn_miss_func_102"]
GOLD = [Action(calls=turn.ground_truth) for turn in TASK.turns]
DONE, NONSENSE = Action(), Action(malformed="nonsense")
READ = Action(calls=parse_calls("get_watchlist()", tool_specs()))


def start(env: BfclEnvironment = ENV, **limits: int) -> Episode:
    return Episode(TASK, env, gold_trace(TASK, ENV), EpisodeLimits(**limits))


def play(episode: Episode, *actions: Action) -> list[Message]:
    return [message for action in actions for message in episode.act(action)]


def gold_turns(*turns: int) -> list[Action]:
    return [a for i in turns for a in ((GOLD[i], DONE) if GOLD[i].calls else (DONE,))]


def test_gold_is_answered() -> None:
    episode = start()
    seen = play(episode, *gold_turns(*range(6)))
    assert (episode.ending, episode.progress, episode.complete) == (Ending.ANSWERED, 1.0, True)
    assert episode.format == 2.0
    assert [m.role for m in seen].count("tool") == 5
    assert [text for kind, text in lines(seen) if kind == "tools"] == ["cancel_order"]
    assert "cancel_order" not in episode.conversation.lines()[0][1]
    assert [text for kind, text in episode.conversation.lines() if kind == "user"] == [
        turn.user for turn in TASK.turns if turn.user
    ]


def test_progress_is_of_all_turns_from_the_start() -> None:
    episode, passed = start(), []
    for turn in range(6):
        play(episode, *(gold_turns(turn) if turn not in (4,) else [DONE]))
        passed.append(round(episode.progress * 6))
    assert passed == [1, 2, 3, 4, 4, 5]
    assert episode.ending is Ending.ANSWERED and not episode.complete


def test_attempts_are_counted_anew_in_each_turn() -> None:
    episode = start(attempts=5)
    play(episode, *[READ] * 4)
    assert episode.turn == 0
    play(episode, GOLD[0])  # the last attempt still counts, and ends the turn by itself
    assert (episode.turn, episode.progress) == (1, 1 / 6)
    play(episode, *[READ] * 4, DONE, *gold_turns(2, 3, 4, 5))
    assert episode.progress == 5 / 6
    assert episode.ending is Ending.ATTEMPTS_SPENT
    assert len(episode.responses) == 5 + 4 + 3


def test_malformed_actions_spend_attempts_and_end_the_episode_in_a_row() -> None:
    episode = start(attempts=5, malformed=3)
    play(episode, NONSENSE, NONSENSE, GOLD[0], NONSENSE, NONSENSE)
    assert (episode.turn, episode.progress, episode.ending) == (1, 1 / 6, None)
    play(episode, NONSENSE)  # a new turn does not forgive
    assert episode.ending is Ending.FORMAT_FAILURES
    assert (episode.rounds, episode.malformed, episode.progress) == (6, 5, 1 / 6)
    assert episode.format == pytest.approx(1 / 6 + 1)


def test_a_call_where_no_tool_fits() -> None:
    episode = start()
    play(episode, *gold_turns(0, 1))
    before, responses = episode.session.state(), list(episode.responses)
    seen = play(episode, GOLD[3])
    assert episode.session.state() == before and episode.responses == responses
    assert (episode.turn, episode.progress) == (3, 2 / 6)
    assert [kind for kind, _ in lines(seen)] == ["error", "tools"]
    play(episode, *gold_turns(3, 4, 5))
    assert (episode.ending, episode.progress) == (Ending.ANSWERED, 5 / 6)


def test_an_attempt_holds_so_many_calls() -> None:
    episode = start(calls=3)
    assert len(play(episode, Action(calls=READ.calls * 4))) == 3
    assert len(episode.responses) == 3


def test_rounds_with_a_call_that_fails_to_execute_are_told_from_clean_ones() -> None:
    episode = start()
    failing = parse_calls("[get_watchlist(), get_stock_info()]", tool_specs())
    refused = parse_calls("get_stock_info('no such stock')", tool_specs())
    seen = play(episode, Action(calls=failing), Action(calls=refused))
    assert [kind for kind, _ in lines(seen)] == ["tool", "error", "error"]
    assert (episode.raised, episode.clean, episode.format) == (1, 1, 1.5)


def test_a_broken_environment_ends_one_episode_and_no_run() -> None:
    class BrokenSession(BfclSession):
        def call(self, call: Any) -> Any:
            raise RuntimeError("the simulator is gone")

    class Broken(BfclEnvironment):
        def open(self, task: Task) -> BfclSession:
            session = super().open(task)
            return BrokenSession(session._instances, session._tools, self.bounds)

    episode = start(Broken())
    play(episode, GOLD[0])
    assert (episode.ending, episode.progress) == (Ending.ENVIRONMENT_FAILURE, 0.0)


@given(st.lists(st.sampled_from([*GOLD, READ, DONE, NONSENSE])))
def test_any_actions_lead_to_some_ending(actions: list[Action]) -> None:
    episode = start(attempts=3)
    for action in actions:
        if episode.ending is not None:
            break
        episode.act(action)
        assert len(episode.verdicts) == episode.turn <= 6
        assert episode.progress == sum(v.passed for v in episode.verdicts) / 6
        assert 0 <= episode.format <= 2
    if episode.ending is not Ending.FORMAT_FAILURES:
        assert (episode.ending is None) == (episode.turn < 6)


@pytest.mark.parametrize(
    ("rounds", "malformed", "clean", "raised", "reward"),
    [
        (4, 0, 3, 0, 2.0),
        (4, 1, 2, 0, 1.75),
        (5, 1, 3, 1, 0.8 + 0.75),
        (4, 0, 0, 2, 1.0),
        (3, 0, 0, 0, 0.0),  # without a call there is no credit for form
        (3, 3, 0, 0, 0.0),
        (0, 0, 0, 0, 0.0),
    ],
)
def test_format_reward(rounds: int, malformed: int, clean: int, raised: int, reward: float) -> None:
    assert format_reward(rounds, malformed, clean, raised) == pytest.approx(reward)
