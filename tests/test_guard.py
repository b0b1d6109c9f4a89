"""The guard: whatever a call does, its episode gets an error and the others go on."""

from collections.abc import Iterator

import pytest

from rods.envs.base import Work
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.calls import CallLimits
from rods.envs.guard import GuardedEnvironment
from rods.envs.notation import parse_calls
from rods.reward import gold_trace
from rods.scoring import score_many
from rods.task import Call, Task, Turn

TOOLS = tool_specs()
LOCAL = BfclEnvironment()
# Each round doubles the paths through the tree, by having a folder in two places.
DOUBLING = ["[mkdir('0'), cd('0'), mkdir('s'), cd('..')]"] + [
    f"[cp('{n}', 'e'), mkdir('{n + 1}'), mv('{n}', '{n + 1}'), mv('e', '{n + 1}')]"
    for n in range(24)
]


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedEnvironment]:
    env = GuardedEnvironment(LOCAL)
    yield env
    env.close()


def calls(*texts: str) -> list[Call]:
    return [call for text in texts for call in parse_calls(text, TOOLS)]


def files() -> Task:
    turns = (Turn(user="-"),)
    return Task(category="base", classes=("GorillaFileSystem",), start={}, turns=turns)


def test_a_call_that_hangs_is_undone_and_its_neighbours_are_unharmed(
    guarded: GuardedEnvironment,
) -> None:
    before, bad, after = (guarded.open(files()) for _ in range(3))
    steps = [
        Work(before, calls("mkdir('a')")),
        Work(bad, calls(*DOUBLING, "du()", "ls()")),
        Work(after, calls("mkdir('b')", "ls()")),
        Work(before, calls("ls()")),
    ]
    starts = guarded.lanes[0].child.starts
    made, hung, later, again = guarded.execute(steps)
    *built, usage, listed = hung.observations
    assert not any(seen.raised for seen in built)
    assert (usage.refused, usage.raised, usage.ok) == ("time limit", True, False)
    assert "1 s" in usage.text
    assert listed.text == '{"current_directory_content": ["24"]}'
    assert later.observations[1].text == '{"current_directory_content": ["b"]}'
    assert again.observations[0].text == '{"current_directory_content": ["a"]}'
    assert guarded.lanes[0].child.starts == max(starts, 1) + 1
    assert not any(outcome.lost for outcome in (made, hung, later, again))


def test_verdicts_states_and_responses_are_those_of_the_plain_environment(
    guarded: GuardedEnvironment,
) -> None:
    tasks = list(benchmark_tasks().values())[::7]
    plain = [gold_trace(task, LOCAL) for task in tasks]
    apart = [gold_trace(task, guarded) for task in tasks]
    assert [t.responses for t in plain] == [t.responses for t in apart]
    assert [[s.digest for s in t.states] for t in plain] == [
        [s.digest for s in t.states] for t in apart
    ]
    answers = [[turn.ground_truth for turn in task.turns] for task in tasks]
    answers[1::2] = [[turn[:-1] for turn in answer] for answer in answers[1::2]]
    here = score_many(list(zip(tasks, answers, plain, strict=True)), LOCAL)
    there = score_many(list(zip(tasks, answers, apart, strict=True)), guarded)
    assert here == there
    assert {v.passed for row in here[1::2] for v in row.verdicts} == {True, False}
    # Snapshots that the worker does not know are compared by digest.
    assert score_many(list(zip(tasks, answers, plain, strict=True)), guarded) == here


def test_a_session_survives_its_worker(guarded: GuardedEnvironment) -> None:
    task = benchmark_tasks()["multi_turn_base_3"]
    session, here = guarded.open(task), LOCAL.open(task)
    for call in task.calls:
        assert session.call(call) == here.call(call)
        guarded.close()
        assert session.state() == here.state() and session.matches(here.state())
    fork = session.fork()
    fork.call(calls("mkdir('only here')")[0])
    assert session.state() == here.state() != fork.state()


def test_a_task_that_cannot_be_opened_loses_its_session_only(guarded: GuardedEnvironment) -> None:
    broken = files().model_copy(update={"classes": ("Nonesuch",)})
    lost, fine = guarded.execute(
        [Work(guarded.open(broken), calls("ls()")), Work(guarded.open(files()), calls("pwd()"))]
    )
    assert "no BFCL class 'Nonesuch'" in lost.lost and not lost.observations
    assert fine.observations[0].ok


def test_many_workers_give_what_one_gives() -> None:
    tasks = list(benchmark_tasks().values())[::40]
    env = GuardedEnvironment(LOCAL, CallLimits(workers=3))
    traces = [gold_trace(task, LOCAL) for task in tasks]
    episodes = [
        (t, [x.ground_truth for x in t.turns], g) for t, g in zip(tasks, traces, strict=True)
    ]
    assert all(v.passed for row in score_many(episodes, env) for v in row.verdicts)
    env.close()
    assert [lane.child.starts for lane in env.lanes] == [1, 1, 1]
