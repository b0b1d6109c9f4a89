"""The runner's token histories and budget, with a policy that replays a script."""

import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay import Ids, Replay
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks, tool_specs
from rods.micro.dialogues import LIMITS, carries, demonstration
from rods.micro.renderer import MicroRenderer, build_tokenizer
from rods.rollout.episode import Ending
from rods.rollout.runner import Runner
from rods.task import Task

ENV = BfclEnvironment()
SAMPLE = list(benchmark_tasks().values())[::8]
WORDS = re.findall("[A-Za-z]+", " ".join(f"{t.calls} {t.turns}" for t in SAMPLE))
RENDERER = MicroRenderer(build_tokenizer(WORDS, tool_specs()))


@cache
def carried() -> tuple[Task, ...]:
    tasks = tuple(task for task in SAMPLE if carries(task, ENV, RENDERER))
    assert {task.category for task in tasks} == set(CATEGORIES)
    return tasks


def gold(task: Task) -> list[Ids]:
    """The ground truth as actions; each turn is closed by an empty one."""
    return [
        RENDERER.write(calls)
        for turn in task.turns
        for calls in [*((call,) for call in turn.ground_truth), ()]
    ]


def test_a_replayed_gold_episode_is_the_demonstration() -> None:
    tasks = carried()
    policy = Replay([gold(task) for task in tasks])
    rollouts = Runner(ENV, RENDERER, LIMITS).run(tasks, policy)
    for task, rollout, said, shown in zip(
        tasks, rollouts, policy.scripts, policy.shown, strict=True
    ):
        assert (rollout.task_id, rollout.ending) == (task.id, Ending.ANSWERED)
        assert (rollout.progress, rollout.complete, rollout.format) == (1.0, True, 2.0)
        assert rollout.turns == [True] * len(task.turns)
        ids, mask = demonstration(task, ENV, RENDERER)
        assert rollout.prompt_ids + rollout.completion_ids == ids
        assert [0] * len(rollout.prompt_ids) + rollout.mask == mask
        assert len(rollout.logprobs) == len(rollout.mask)
        assert not any(p for p, own in zip(rollout.logprobs, rollout.mask, strict=True) if not own)
        own = [i for i, m in zip(rollout.completion_ids, rollout.mask, strict=True) if m]
        assert own == [i for action in said for i in action]
        assert rollout.generated == len(own)
        assert all(ids[: len(history)] == history for history in shown)


def test_equal_tasks_in_one_batch_do_not_meet() -> None:
    task = next(t for t in carried() if t.category == "miss_func")
    silent = [RENDERER.write([])]
    one, two, three = Runner(ENV, RENDERER).run(
        [task] * 3, Replay([gold(task), silent, gold(task)])
    )
    assert one == three and one.progress == 1.0
    assert two.progress == sum(not t.ground_truth for t in task.turns) / len(task.turns)
    assert two.format == 0.0


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_token_budget_ends_an_episode(category: str) -> None:
    task = next(t for t in carried() if t.category == category)
    (whole,) = Runner(ENV, RENDERER).run([task], Replay([gold(task)]))
    full = len(whole.prompt_ids) + len(whole.completion_ids)
    endings = set()
    for budget in (*range(len(whole.prompt_ids) + 1, full, 5), full + 1):
        policy = Replay([gold(task)])
        (cut,) = Runner(ENV, RENDERER, token_budget=budget).run([task], policy)
        endings.add(cut.ending)
        assert all(len(history) < budget for history in policy.shown[0])
        assert cut.mask[-1] == 1  # nothing of the environment's comes after the last action
        assert cut.completion_ids == whole.completion_ids[: len(cut.completion_ids)]
        assert cut.progress == sum(cut.turns) / len(task.turns)
        assert cut.complete == (cut.ending is Ending.ANSWERED)
    assert endings == {Ending.TOKEN_BUDGET, Ending.ANSWERED}


anything = st.lists(st.integers(0, len(RENDERER.tokenizer) - 1), max_size=6)
some_end = st.sampled_from([[], *([stop] for stop in RENDERER.stop_ids)])
actions = st.lists(st.builds(list.__add__, anything, some_end), min_size=1, max_size=4)


@settings(max_examples=25)
@given(st.lists(actions, min_size=4, max_size=4))
def test_any_tokens_lead_to_some_ending(scripts: list[list[Ids]]) -> None:
    tasks = carried()[:4]
    for rollout in Runner(ENV, RENDERER).run(tasks, Replay(scripts)):
        assert isinstance(rollout.ending, Ending)
        assert 0 <= rollout.progress <= 1 and 0 <= rollout.format <= 2
        assert len(rollout.completion_ids) == len(rollout.mask) == len(rollout.logprobs)
