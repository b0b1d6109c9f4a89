"""The micro policy works where its weights are, also after a trainer has moved them."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import torch

from pretended_device import ELSEWHERE, move, pretending
from rods.micro.model import MicroForCausalLM, MicroModelConfig
from rods.micro.policy import MicroPolicy
from rods.micro.pretrain import pretrain
from rods.micro.renderer import MicroRenderer, build_tokenizer
from rods.rollout.policy import Sampling

ROWS = 6
RENDERER = MicroRenderer(build_tokenizer(["alpha", "beta", "gamma"], {}))


def micro() -> MicroForCausalLM:
    torch.manual_seed(0)
    config = MicroModelConfig(
        vocab_size=len(RENDERER.tokenizer), width=32, layers=2, heads=2, context=128
    )
    return MicroForCausalLM(config).train(False)


def policy(model: MicroForCausalLM) -> MicroPolicy:
    return MicroPolicy(model, RENDERER, ROWS, context=64)


def ask(policy: MicroPolicy, histories: list[list[int]], rows: Any, temperature: float) -> list:
    """What these episodes get, who ask together."""

    async def all_of_them() -> list:
        asked = (
            policy.generate(histories[row], Sampling(8, temperature, RENDERER.stop_ids, row))
            for row in rows
        )
        return [(made.ids, made.logprobs) for made in await asyncio.gather(*asked)]

    return asyncio.run(all_of_them())


def played(policy: MicroPolicy, seed: int, temperature: float) -> list:
    """Three rounds of an episode batch, in the last of which some rows have ended."""
    rng, found = random.Random(seed), []
    histories = [[rng.randrange(1, 9) for _ in range(rng.randrange(1, 12))] for _ in range(ROWS)]
    policy.seeded(seed).enter(ROWS)
    for rows in (range(ROWS), range(ROWS), [4, 1]):
        for _ in range(policy.playing - len(rows)):
            policy.leave()
        made = ask(policy, histories, rows, temperature)
        for row, (ids, _) in zip(rows, made, strict=True):
            histories[row] = [*histories[row], *ids, rng.randrange(1, 9)]
        found.append(made)
    policy.leave()
    policy.leave()
    return found


@pytest.mark.parametrize("temperature", [1.0, 1e-6])
def test_a_policy_follows_its_model(temperature: float) -> None:
    model = micro()
    made, plain = policy(model), policy(micro())
    first = [played(each, 1, temperature) for each in (made, plain)]
    assert first[0] == first[1], "before the trainer has the model"
    with pretending() as seen:
        move(model)
        assert model.device == ELSEWHERE
        found = [played(each, 2, temperature) for each in (made, plain)]
        assert found[0] == found[1], "the draws are those of the CPU"
    assert {"torch.nn.functional.linear", "torch.searchsorted"} <= seen


def test_a_move_between_two_rounds_loses_nothing() -> None:
    model = micro()
    made, plain = policy(model), policy(micro())
    for each in (made, plain):
        each.seeded(3).enter(2)
        each.leave()
    history = [3, 4, 5]
    first = ask(made, [[], history], [1], 1.0)
    assert first == ask(plain, [[], history], [1], 1.0)
    history = history + first[0][0] + [6]
    with pretending() as seen:
        move(model)
        ids, logprobs = ask(made, [[], history], [1], 1.0)[0]
    expected = ask(plain, [[], history], [1], 1.0)[0]
    assert ids == expected[0]
    assert logprobs == pytest.approx(expected[1], abs=1e-5)
    assert "torch.nn.functional.linear" in seen


def test_the_model_and_its_pretraining_are_where_the_weights_are() -> None:
    model, plain, losses = micro(), micro(), ([], [])
    examples = [([3, 4, 5, 0, 3, 4, 5], [False] * 4 + [True] * 3)] * 40
    settings = {"total_tokens": 200, "batch_tokens": 64, "lr": 1e-3, "seed": 0}
    pretrain(plain, examples, on_step=lambda _, loss: losses[0].append(loss), **settings)
    with pretending() as seen:
        move(model)
        pretrain(model, examples, on_step=lambda _, loss: losses[1].append(loss), **settings)
    assert losses[0] == losses[1]
    assert len(losses[0]) > 2
    assert "torch.nn.functional.linear" in seen


def test_the_pretended_device_refuses_what_a_device_would() -> None:
    here = torch.ones(2)
    with pretending():
        there = torch.ones(2, device=ELSEWHERE)
        assert (there * 2).device == here.to(ELSEWHERE).device == ELSEWHERE
        assert (there * torch.tensor(2.0)).device == ELSEWHERE, "a number may come from the CPU"
        assert here.device == there.cpu().device == torch.device("cpu")
        with pytest.raises(RuntimeError, match="cuda:0 and on cpu"):
            there + here
        with pytest.raises(RuntimeError, match="cuda:0 and on cpu"):
            there[0] = here
        with pytest.raises(RuntimeError, match="a CPU generator"):
            torch.rand(2, generator=torch.Generator(), device=ELSEWHERE)
