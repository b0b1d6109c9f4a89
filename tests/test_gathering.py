"""A policy that answers in batches: its batches are rounds, in the order of the episodes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from rods.micro.model import MicroForCausalLM, MicroModelConfig
from rods.micro.policy import MicroPolicy
from rods.micro.sampler import MicroSampler
from rods.rollout.episode import EpisodeLimits
from rods.rollout.gathering import Gathering, Request
from rods.rollout.policy import Generation, Sampling
from rods.rollout.runner import Runner
from test_asynchronous_rollouts import Counted, prepared, soon
from test_runner import ENV, RENDERER, Ids, carried

ROWS, CONTEXT, TOKENS = 12, 160, 6


def micro() -> MicroForCausalLM:
    torch.manual_seed(0)
    size = {"width": 16, "layers": 1, "heads": 2, "context": CONTEXT}
    return MicroForCausalLM(MicroModelConfig(vocab_size=len(RENDERER.tokenizer), **size))


class Noted(MicroPolicy):
    """Remembers what it answered together."""

    def __init__(self, model: MicroForCausalLM) -> None:
        super().__init__(model, RENDERER, ROWS, CONTEXT)
        self.batches: list[list[tuple[int, Ids, Generation]]] = []

    def answer(self, requests: Sequence[Request]) -> list[Generation]:
        made = super().answer(requests)
        self.batches.append(
            [(r.sampling.episode, list(r.ids), g) for r, g in zip(requests, made, strict=True)]
        )
        return made


def test_batches_are_rounds_and_draws_are_those_of_rounds() -> None:
    tasks = [*carried()[:3]] * 4
    limits = EpisodeLimits(attempts=4, malformed=99)  # tasks differ in turns and prompts
    runner = Runner(ENV, RENDERER, limits, CONTEXT, sampling=Sampling(TOKENS, 1.0))
    policy = Noted(micro())
    rollouts = runner.run(tasks, policy.seeded(5, version=7))
    actions = [len(r.versions) for r in rollouts]
    assert min(actions) < max(actions), "all are of one length"
    assert {version for r in rollouts for version in r.versions} == {7}
    rounds = [[i for i, count in enumerate(actions) if count > k] for k in range(max(actions))]
    assert [[episode for episode, *_ in batch] for batch in policy.batches] == rounds
    sampler = MicroSampler(policy.model, 0, RENDERER.stop_ids, ROWS, CONTEXT)
    rng = torch.Generator().manual_seed(5)
    sampler.start(ROWS)
    for batch in policy.batches:
        histories, rows = [ids for _, ids, _ in batch], [episode for episode, *_ in batch]
        made = sampler.generate(histories, TOKENS, 1.0, rng, rows)
        assert made == [(g.ids, g.logprobs) for *_, g in batch]
    assert runner.run(tasks, policy.seeded(5, version=7)) == rollouts


class Sums(Gathering):
    """Answers with the sum of what it was given, and knows its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[int]] = []

    def answer(self, requests: Sequence[Request]) -> list[Generation]:
        self.batches.append([r.sampling.episode for r in requests])
        return [Generation([sum(r.ids)], [0.0]) for r in requests]


def test_the_order_of_asking_does_not_matter() -> None:
    policy = Sums()

    async def asking() -> list[Generation]:
        policy.enter(4)
        asked = [
            asyncio.create_task(policy.generate([episode], Sampling(episode=episode)))
            for episode in (2, 0, 3)
        ]
        await asyncio.sleep(0)
        assert not policy.batches, "the second one may ask yet"
        policy.leave()
        return await asyncio.gather(*asked)

    assert [made.ids for made in soon(asking())] == [[2], [0], [3]]
    assert policy.batches == [[0, 2, 3]]


def test_who_is_cancelled_is_not_waited_for() -> None:
    policy = Sums()

    async def asking() -> Generation:
        policy.enter(2)
        gone = asyncio.create_task(policy.generate([1], Sampling(episode=0)))
        await asyncio.sleep(0)
        gone.cancel()
        policy.leave()
        return await policy.generate([2], Sampling(episode=1))

    assert soon(asking()).ids == [2]
    assert policy.batches == [[1]]


class Short(Sums):
    """Answers one request less than it should."""

    def answer(self, requests: Sequence[Request]) -> list[Generation]:
        return super().answer(requests)[1:]


def test_a_wrong_number_of_answers_reaches_all_who_wait() -> None:
    policy = Short()

    async def asking() -> list[Any]:
        policy.enter(3)
        asked = [asyncio.create_task(policy.generate([i], Sampling(episode=i))) for i in (0, 1)]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(policy.leave)  # as the last of a batch does
        return await asyncio.gather(*asked, return_exceptions=True)

    assert [type(found) for found in soon(asking())] == [ValueError, ValueError]


def test_a_request_does_not_look_at_all_others() -> None:
    looks, policy, many = [0], Sums(), 100

    class Noting(asyncio.Future[Any]):
        def done(self) -> bool:
            looks[0] += 1
            return super().done()

    async def asking() -> None:
        loop = asyncio.get_running_loop()
        loop.create_future = lambda: Noting(loop=loop)  # type: ignore[method-assign]
        policy.enter(many)
        await asyncio.gather(*(policy.generate([i], Sampling(episode=i)) for i in range(many)))

    soon(asking())
    assert policy.batches == [[*range(many)]] and many <= looks[0] < 10 * many


def test_who_has_not_entered_is_answered_at_once() -> None:
    policy = Noted(micro())

    async def ask() -> Generation:
        return await policy.seeded(1).generate([5, 6, 7], Sampling(4, 1.0, (), episode=3))

    alone = soon(ask())
    tasks = carried()[:2]
    Runner(ENV, RENDERER, EpisodeLimits(attempts=2), CONTEXT).run(tasks, policy)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.add_(0.1)
    changed = soon(ask())
    fresh = Noted(policy.model)
    policy = fresh
    assert 0 < len(alone.ids) <= 4 and changed == soon(ask()) != alone


def test_an_action_of_a_batch_has_no_more_tokens_than_it_asked_for() -> None:
    policy = Noted(micro()).seeded(1)

    async def ask() -> list[Generation]:
        policy.enter(4)
        limits = (1, 2, 6, 6)
        return await asyncio.gather(
            *(policy.generate([5, 6], Sampling(n, 1.0, (), i)) for i, n in enumerate(limits))
        )

    lengths = [(len(made.ids), len(made.logprobs)) for made in soon(ask())]
    assert lengths[:2] == [(1, 1), (2, 2)] and max(lengths) > (2, 2)


def test_two_runs_at_once_are_refused() -> None:
    for policy in (Sums(), Noted(micro())):
        policy.enter(2)
        with pytest.raises(RuntimeError, match="2 episodes are still playing"):
            policy.enter(1)


def test_a_failure_reaches_the_run_once_and_the_policy_can_go_on() -> None:
    class Failing(Noted):
        def answer(self, requests: Sequence[Request]) -> list[Generation]:
            if len(self.batches) == 1:
                raise MemoryError("too many rows")
            return super().answer(requests)

    env, tasks = Counted(), carried()[:6]
    runner, policy = prepared(env, tasks), Failing(micro())
    runner.token_budget = CONTEXT
    with pytest.raises(MemoryError, match="too many rows"):
        runner.run(tasks, policy.seeded(0))
    assert not env.open_sessions and policy.playing == 0
    policy.batches.clear()
    with pytest.raises(MemoryError):
        runner.run(tasks, policy.seeded(0))


def test_more_episodes_than_there_is_room_for() -> None:
    env, tasks = Counted(), [carried()[0]] * (ROWS + 1)
    with pytest.raises(ValueError, match="13 rows do not fit in 12"):
        prepared(env, tasks).run(tasks, Noted(micro()))
    assert not env.open_sessions
