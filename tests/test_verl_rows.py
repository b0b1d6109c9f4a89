"""What passes between the driver of a run on verl and the processes that play."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rods.envs.bfcl_data import benchmark_tasks
from rods.errors import UserError
from rods.rollout.episode import Ending
from rods.rollout.policy import Sampling
from rods.rollout.rollout import Rollout, group_of
from rods.stages import Stage
from rods.trainers.verl.player import Answer, ServerPolicy, request_seed
from rods.trainers.verl.row import MOST_TEXT, Order, Result, Told

TASK = benchmark_tasks()["multi_turn_miss_func_3"]


def rollout(progress: float = 0.1 + 0.2, lines: list[tuple[str, str]] | None = None) -> Rollout:
    return Rollout(
        TASK.id, [1, 2], [3, 4, 5], [1, 0, 1], [-0.5, 0.0, -0.25], progress, False, 0.75,
        [True, False], Ending.ANSWERED, Told((), told=lines or [("user", "hello")]),
        {"unknown": 2}, versions=(7, 7),
    )  # fmt: skip


def test_a_task_travels_whole() -> None:
    order = Order.of(TASK, 3, 17, Stage(reward="format", hints=True))
    row = order.row()
    assert Order.read(row) == order
    assert Order.read(row).task.id == TASK.id
    assert row["agent_name"] == "rods" and row["index"] == 3


def test_a_result_comes_back_with_all_bits_of_its_floats() -> None:
    played = rollout()
    found = Result.read(Result(3, 0, played).plain())
    assert found.rollout is not None
    assert found.rollout.progress == played.progress  # 0.30000000000000004
    assert group_of([found.rollout], "format") == group_of([played], "format")
    assert found.rollout.generated == 2
    assert found.rollout.conversation.lines() == [("user", "hello")]
    assert found.rollout.prompt_ids == []


def test_only_the_first_rollout_of_a_group_brings_its_conversation_and_that_is_bounded() -> None:
    long = rollout(lines=[("user", "x" * MOST_TEXT), ("assistant", "y"), ("user", "z")])
    assert Result(0, 1, long).plain()["lines"] == []
    lines = Result(0, 0, long).plain()["lines"]
    assert sum(len(text) for _, text in lines) <= MOST_TEXT + 10


def test_an_error_travels_as_one_line() -> None:
    found = Result.read(Result.failed(2, 1, RuntimeError("torn\nscript")).plain())
    assert (found.place, found.session, found.rollout) == (2, 1, None)
    assert found.error == "RuntimeError: torn script"
    assert Result.failed(2, 1, UserError("no room")).error == "no room"


def test_what_another_process_raised_is_named_and_not_its_traceback() -> None:
    passed_on = RuntimeError("a long traceback")
    passed_on.cause = ValueError("torn")  # type: ignore[attr-defined]  # as Ray does
    assert Result.failed(0, 0, passed_on).error == "ValueError: torn"


class Asked:
    """A server that answers what it is told."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.requests = answer, list[tuple[str, list[int], dict[str, Any]]]()

    async def __call__(self, name: str, ids: list[int], parameters: dict[str, Any]) -> Answer:
        self.requests.append((name, ids, parameters))
        return self.answer


def test_a_request_has_the_ids_so_far_and_the_run_s_sampling() -> None:
    asked = Asked(Answer([5, 9], [-0.1, -0.2], 4))
    policy = ServerPolicy(asked, "0-4-1-2", {"top_p": 1.0})
    sampling = Sampling(64, 0.5, (9,), 0)
    made = asyncio.run(policy.generate((1, 2, 3), sampling))
    assert (made.ids, made.logprobs, made.version) == ([5, 9], [-0.1, -0.2], 4)
    ((name, ids, parameters),) = asked.requests
    assert (name, ids) == ("0-4-1-2-0", [1, 2, 3])
    assert parameters == {
        "top_p": 1.0, "max_tokens": 64, "temperature": 0.5, "stop_token_ids": [9],
        "logprobs": True, "seed": request_seed("0-4-1-2", 0, 3),
    }  # fmt: skip


def test_seeds_differ_by_rollout_and_by_action_and_can_be_left_out() -> None:
    seeds = {request_seed(f"0-4-1-{k}", 0, n) for k in range(4) for n in (10, 20)}
    assert len(seeds) == 8 and all(0 <= seed < 2**31 for seed in seeds)
    asked = Asked(Answer([5], [0.0], None))
    asyncio.run(ServerPolicy(asked, "a", {}, None).generate([1], Sampling()))
    assert "seed" not in asked.requests[0][2]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer([5], None, 0), "tells no log-probabilities"),
        (Answer([], [], 0), "generated no token"),
    ],
)
def test_an_unusable_answer_is_refused(answer: Answer, message: str) -> None:
    with pytest.raises(UserError, match=message):
        asyncio.run(ServerPolicy(Asked(answer), "a", {}).generate([1], Sampling()))
