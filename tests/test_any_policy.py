"""Models that are none of ours play and train through the same interfaces as the micro policy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from doubles import make_config
from fragile import Fragile
from grpo import WORDS, ParityRenderer, lora, qwen2
from replay import Ids, Replay
from rods.loop import Loop
from rods.policies.registry import EPISODE, LoadedPolicy
from rods.policies.transformers import TransformersPolicy
from rods.rollout.policy import Generation, Sampling
from rods.rollout.rollout import Rollout, group_of
from rods.rollout.runner import Runner
from rods.store.store import Store
from rods.trainers.trl import TrlTrainer

STEPS, SIZE, TASKS = 2, 4, 2
SAMPLING = Sampling(max_tokens=3, temperature=0.7)


class Training:
    """A trainer around any model, and what it was given."""

    def __init__(self, tools: Fragile, folder: Path, model: Any, policy: Any) -> None:
        config = make_config(
            rollout={"group_size": SIZE, "tasks_per_step": TASKS, "temperature": 0.7},
            optimizer={"microbatch": SIZE * TASKS, "learning_rate": 1e-2, "warmup_steps": 0},
            steps=STEPS,
        )
        tasks = [tools.task(name) for name in ("one", "two")]
        self.rollouts: list[Sequence[Rollout]] = []
        self.loop = Loop(config, Store(folder, durable=False), tasks)
        self.trainer = TrlTrainer(
            config,
            self.loop,
            Runner(tools.env, ParityRenderer(), token_budget=400, sampling=SAMPLING),
            LoadedPolicy(ParityRenderer(), model, WORDS.to_transformers("<end>"), policy),
            folder,
            lambda step, rollouts, logs, seconds: self.rollouts.append(rollouts),
            lambda epoch, step: None,
        )


@pytest.mark.parametrize("adapters", [False, True])
def test_a_stock_model_plays_and_learns(tools: Fragile, tmp_path: Path, adapters: bool) -> None:
    model = lora(qwen2(), "q_proj") if adapters else qwen2()
    # What a model's own settings would do to the distribution is no matter of training.
    model.generation_config.repetition_penalty = 5.0
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    made = Training(tools, tmp_path / "run", model, TransformersPolicy(model, 0, rows=3).seeded)
    first: list[list[float]] = []
    rollout = made.trainer._trainer.rollout_func

    def noting(prompts: list[str], trainer: Any) -> Any:
        found = rollout(prompts, trainer)
        for logprobs, mask in zip(found["logprobs"], found["env_mask"], strict=True):
            assert [p < 0 for p in logprobs] == [own == 1 for own in mask]
        first.extend([] if first else [scores(model, r) for r in made.trainer.rollouts])
        return found

    made.trainer._trainer.rollout_func = noting
    made.trainer.train()
    assert made.trainer.finished and len(made.rollouts) == STEPS
    changed = {name for name, w in model.named_parameters() if not torch.equal(w, before[name])}
    assert changed and all("lora" in name for name in changed) is adapters
    for step, rollouts in enumerate(made.rollouts):
        assert {version for r in rollouts for version in r.versions} == {step}
        assert len({r.progress for r in rollouts}) > 1, "nothing to learn"
    for rollout, expected in zip(made.rollouts[0], first, strict=True):
        assert rollout.logprobs == pytest.approx(expected, abs=1e-4)
        assert any(rollout.mask) and not all(rollout.mask)
    assert [g.step for g in made.loop.store.groups()] == [1, 1, 2, 2]
    assert model.generation_config.repetition_penalty == 5.0


def scores(model: Any, rollout: Rollout) -> list[float]:
    """Log-probabilities of the policy's own tokens by one forward over the whole episode."""
    ids = torch.tensor([rollout.prompt_ids + rollout.completion_ids])
    with torch.no_grad():
        logprobs = (model(ids).logits[0, :-1] / SAMPLING.temperature).log_softmax(-1)
    chosen = logprobs.gather(-1, ids[0, 1:, None]).squeeze(-1)[len(rollout.prompt_ids) - 1 :]
    return (chosen * torch.tensor(rollout.mask)).tolist()


def test_draws_are_those_of_the_seed_and_touch_no_others() -> None:
    model = qwen2()
    policy, whole = TransformersPolicy(model, 0), torch.get_rng_state()
    histories = [[3, 4, 5], [6, 7, 8, 9, 10, 11], [5]]

    async def ask() -> list[Generation]:
        policy.enter(3)
        asked = [policy.generate(h, Sampling(9, 0.7, (1,), i)) for i, h in enumerate(histories)]
        found = await asyncio.gather(*asked)
        for _ in histories:
            policy.leave()
        return found

    policy.seeded(1)
    one, other = asyncio.run(ask()), asyncio.run(ask())
    policy.seeded(1)
    assert one != other and [one, other] == [asyncio.run(ask()), asyncio.run(ask())]
    assert torch.equal(torch.get_rng_state(), whole)
    assert model.training


def test_draws_of_an_episode_do_not_depend_on_its_batch() -> None:
    """So processes that share a step sample as one does."""
    histories = [[3, 4, 5], [6, 7, 8, 9, 10, 11], [5], [5]]

    async def ask(policy: TransformersPolicy, first: int, end: int) -> list[list[int]]:
        policy.enter(end - first)
        some = enumerate(histories[first:end])
        asked = [policy.generate(ids, Sampling(9, 0.7, (1,), i)) for i, ids in some]
        made = [one.ids for one in await asyncio.gather(*asked)]
        for _ in made:
            policy.leave()
        return made

    policy = TransformersPolicy(qwen2(), 0)
    together = asyncio.run(ask(policy.seeded(7), 0, 4))
    assert together[2] != together[3], "episodes with the same tokens have their own draws"
    halves = [asyncio.run(ask(policy.seeded(7 + n * EPISODE), n, n + 2)) for n in (0, 2)]
    assert [*halves[0], *halves[1]] == together
    policy.seeded(7)
    later = [asyncio.run(ask(policy, n, n + 2)) for n in (0, 2)]
    assert [*later[0], *later[1]] == together, "one batch after the other"


def test_tokens_are_drawn_from_the_models_distribution() -> None:
    model, history, rows = qwen2(), [3, 4, 5], 4_000
    policy = TransformersPolicy(model, 0, rows=rows).seeded(3)

    async def ask() -> list[Generation]:
        policy.enter(rows)
        asked = [policy.generate(history, Sampling(1, 0.1, (), i)) for i in range(rows)]
        return await asyncio.gather(*asked)

    made = asyncio.run(ask())
    with torch.no_grad():
        expected = (model(torch.tensor([history])).logits[0, -1] / 0.1).softmax(-1)
    found = torch.bincount(torch.tensor([one.ids[0] for one in made]), minlength=len(expected))
    sigma = (rows * expected * (1 - expected)).sqrt()
    assert ((found - rows * expected).abs() <= 5 * sigma + 1).all()
    for one in made[:20]:
        assert one.logprobs[0] == pytest.approx(float(expected[one.ids[0]].log()), abs=1e-4)


def test_an_action_ends_with_a_stop_id_or_its_tokens() -> None:
    model, sampling = qwen2(), Sampling(40, 1.0, tuple(range(0, len(WORDS), 8)))
    policy = TransformersPolicy(model, 0).seeded(2)

    async def ask() -> list[Generation]:
        policy.enter(8)
        limits = [40, 40, 40, 40, 2, 3, 1, 1]
        asked = [sampling._replace(max_tokens=n, episode=i) for i, n in enumerate(limits)]
        return await asyncio.gather(*(policy.generate([3, 4], each) for each in asked))

    lengths = []
    for made, most in zip(asyncio.run(ask()), [40] * 4 + [2, 3, 1, 1], strict=True):
        assert 0 < len(made.ids) == len(made.logprobs) <= most
        stops = [token in sampling.stop_ids for token in made.ids]
        assert not any(stops[:-1]) and (stops[-1] or len(made.ids) == most)
        lengths.append(len(made.ids))
    assert len(set(lengths)) > 2


def test_a_row_near_the_models_last_position_goes_no_further_than_its_own_limit() -> None:
    torch.manual_seed(0)
    size = {"n_positions": 32, "n_embd": 16, "n_layer": 1, "n_head": 2}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, **size))
    policy = TransformersPolicy(model, 0).seeded(1)

    async def ask() -> list[Generation]:
        policy.enter(3)
        asked = [([*range(1, 31)], 2), ([1, 2, 3, 4], 20), ([5, 6], 20)]
        return await asyncio.gather(
            *(policy.generate(ids, Sampling(n, 1.0, (), i)) for i, (ids, n) in enumerate(asked))
        )

    assert [len(made.ids) for made in asyncio.run(ask())] == [2, 20, 20]


class Scripted(Replay):
    """A policy far away: each episode's answers take their own time."""

    def __init__(self, scripts: Sequence[Sequence[Ids]], delays: Sequence[float]) -> None:
        super().__init__(scripts)
        self.delays, self.over = delays, list[int]()

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        number = sampling.episode
        await asyncio.sleep(self.delays[number])
        made = await super().generate(ids, sampling)
        if len(self.shown[number]) == len(self.scripts[number]):
            self.over.append(number)
        return made._replace(version=number)


def test_a_scripted_asynchronous_policy_plays_through_the_loop(
    tools: Fragile, tmp_path: Path
) -> None:
    tasks = [tools.task(name) for name in ("one", "two")]
    config = make_config(rollout={"group_size": SIZE, "tasks_per_step": TASKS}, steps=STEPS)
    loop = Loop(config, Store(tmp_path / "run", durable=False), tasks)
    runner = Runner(tools.env, tools.renderer)
    turns = (2, 0, 1, 2)
    while loop.step < STEPS:
        chosen = loop.next_tasks()
        delays = [0.01 * (7 - i) for i in range(SIZE * TASKS)]
        policy = Scripted([tools.right(n) for n in turns] * TASKS, delays)
        rollouts = runner.run([task for task in chosen for _ in turns], policy)
        assert policy.over != sorted(policy.over), "all were over in order"
        assert [set(r.versions) for r in rollouts] == [{i} for i in range(len(rollouts))]
        played = [rollouts[i : i + SIZE] for i in range(0, len(rollouts), SIZE)]
        loop.add_groups([group_of(made, "progress") for made in played])
    stored = loop.store.groups()
    assert [g.step for g in stored] == [1, 1, 2, 2]
    assert {g.rewards for g in stored} == {(1.0, 0.0, 0.5, 1.0)}
