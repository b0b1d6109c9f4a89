"""The micro model: padding, saving, cached sampling, pretraining and a TRL step."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from rods.micro.dialogues import Example
from rods.micro.model import MicroForCausalLM, MicroModelConfig
from rods.micro.pretrain import pretrain
from rods.micro.sampler import MicroSampler
from rods.micro.tokenizer import MicroTokenizer

VOCABULARY = 60
STOP = 7


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def micro(vocabulary: int = VOCABULARY) -> MicroForCausalLM:
    torch.manual_seed(0)
    config = MicroModelConfig(vocab_size=vocabulary, width=32, layers=2, heads=2, context=64)
    model = MicroForCausalLM(config)
    model.train(False)
    return model


def some_ids(rng: random.Random, count: int) -> list[int]:
    return [rng.randrange(1, VOCABULARY) for _ in range(count)]


def test_default_size() -> None:
    model = MicroForCausalLM(MicroModelConfig())
    assert 400_000 < sum(p.numel() for p in model.parameters()) < 800_000
    assert model.lm_head.weight is model.model.embed.weight


def test_padding_changes_nothing() -> None:
    model, rng = micro(), random.Random(0)
    ids = torch.tensor([some_ids(rng, 9)])
    plain = model(ids).logits
    pads = torch.zeros(1, 4, dtype=torch.long)
    right = torch.cat([ids, pads], 1)
    assert torch.allclose(model(right, right.ne(0)).logits[:, :9], plain, atol=1e-5)
    both = torch.cat([pads, ids, pads], 1)
    beside = torch.tensor([some_ids(rng, 17)])
    batch = torch.cat([both, beside])
    mask = torch.cat([both.ne(0), torch.ones(1, 17, dtype=torch.bool)]).long()
    logits = model(batch, mask, logits_to_keep=13).logits
    assert torch.allclose(logits[:1, :9], plain, atol=1e-5)
    assert torch.allclose(logits[1:], model(beside).logits[:, 4:], atol=1e-5)


def test_token_logprobs_agree_with_logits() -> None:
    model, rng = micro(), random.Random(1)
    ids = torch.tensor([some_ids(rng, 10), some_ids(rng, 10)])
    targets = ids.roll(-1, 1)
    targets[:, ::3] = -100
    dense = model(ids).logits.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    expected = dense.masked_fill(targets.eq(-100), 0)
    assert torch.allclose(model.token_logprobs(ids, targets), expected, atol=1e-5)


def test_saves_and_loads_by_auto_class(tmp_path: Path) -> None:
    model = micro()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(loaded, MicroForCausalLM)
    ids = torch.tensor([[3, 4, 5]])
    assert loaded.lm_head.weight is loaded.model.embed.weight
    assert torch.allclose(loaded(ids).logits, model(ids).logits, atol=1e-5)


def test_transformers_generate_is_greedy_recomputation() -> None:
    model: Any = micro()
    ids = torch.tensor([[0, 0, 3, 4, 5], [9, 8, 6, 5, 4]])
    out = model.generate(
        ids, attention_mask=ids.ne(0).long(), max_new_tokens=6, do_sample=False, eos_token_id=STOP
    )
    sampler = MicroSampler(model, 0, [STOP], 2, 64)
    sampler.start(2)
    ours = sampler.generate([[3, 4, 5], [9, 8, 6, 5, 4]], 6, 0.0, torch.Generator())
    for row, (new, _) in zip(out[:, 5:].tolist(), ours, strict=True):
        assert row[: len(new)] == new


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_sampler_equals_recomputation_over_rounds(temperature: float) -> None:
    model, rng, torch_rng = micro(), random.Random(2), torch.Generator().manual_seed(0)
    sampler = MicroSampler(model, 0, [STOP, 8, 9], 7, 64)
    sampler.start(6)
    histories = [some_ids(rng, rng.randrange(1, 12)) for _ in range(6)]
    stopped = 0
    for round_number in range(6):
        rows = rng.sample(range(6), 6 if round_number % 2 else 4)
        if round_number == 3:
            histories[rows[0]] = [*histories[rows[0]][:4], 11, 12]
        out = sampler.generate([histories[r] for r in rows], 7, temperature, torch_rng, rows)
        for row, (new, logprobs) in zip(rows, out, strict=True):
            before = len(histories[row])
            whole = histories[row] + new
            assert len(new) == 7 or new[-1] in (STOP, 8, 9) or len(whole) == 64
            assert not {STOP, 8, 9} & set(new[:-1])
            logits = model(torch.tensor([whole])).logits[0, before - 1 : -1]
            dense = (logits / (temperature or 1.0)).log_softmax(-1)
            expected = dense[range(len(new)), new]
            assert torch.allclose(torch.tensor(logprobs), expected, atol=1e-4)
            if temperature == 0:
                assert new == logits.argmax(-1).tolist()
            stopped += len(new) < 7
            histories[row] = (whole + some_ids(rng, rng.randrange(0, 6)))[:63]
    assert stopped or temperature == 0


def test_sampler_stops_at_the_context() -> None:
    sampler = MicroSampler(micro(), 0, [], 2, 16)
    sampler.start(2)
    rng = torch.Generator().manual_seed(0)
    out = sampler.generate([[3] * 12, [4] * 16], 10, 1.0, rng)
    assert [len(new) for new, _ in out] == [4, 0]


def copying(seed: int) -> list[Example]:
    rng = random.Random(seed)
    examples: list[Example] = []
    for _ in range(600):
        body = some_ids(rng, rng.randrange(2, 6))
        examples.append(([*body, 0, *body], [False] * (len(body) + 1) + [True] * len(body)))
    return examples


def test_pretraining_learns_and_repeats_by_seed() -> None:
    runs: list[list[float]] = [[], []]
    for losses in runs:
        model = micro()

        def on_step(done: int, loss: float, losses: list[float] = losses) -> None:
            losses.append(loss)

        pretrain(
            model,
            copying(0),
            total_tokens=5_000,
            batch_tokens=256,
            lr=5e-3,
            seed=1,
            on_step=on_step,
        )
    assert runs[0] == runs[1]
    assert runs[0][-1] < 0.7 * runs[0][0]


def test_one_grpo_step_with_a_rollout_function(tmp_path: Path) -> None:
    datasets, trl = pytest.importorskip("datasets"), pytest.importorskip("trl")
    tokenizer = MicroTokenizer.build(["copy", "this"], ["<user>", "<end>"])
    model = micro(len(tokenizer))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    end = tokenizer.symbol("<end>")
    seen: list[list[float]] = []

    def rollout(prompts: list[str], trainer: Any) -> dict[str, Any]:
        prompt_ids = [tokenizer.encode(prompt) for prompt in prompts]
        sampler = MicroSampler(trainer.model, tokenizer.pad_id, [end], len(prompts), 64)
        sampler.start(len(prompts))
        new = sampler.generate(prompt_ids, 4, 1.0, torch.Generator().manual_seed(0))
        suffix = tokenizer.encode("this")
        seen.extend(logprobs for _, logprobs in new)
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": [ids + suffix for ids, _ in new],
            "logprobs": None,
            "env_mask": [[1] * len(ids) + [0] * len(suffix) for ids, _ in new],
            "score": [float(index) for index in range(len(prompts))],
        }

    def reward(completions: list[str], score: list[float], **_: Any) -> list[float]:
        return score

    trainer = trl.GRPOTrainer(
        model=model,
        reward_funcs=reward,
        args=trl.GRPOConfig(
            output_dir=str(tmp_path), use_cpu=True, bf16=False, gradient_checkpointing=False,
            report_to="none", per_device_train_batch_size=4, num_generations=4, max_steps=1,
            max_completion_length=16, learning_rate=1e-3, beta=0.0, temperature=1.0,
            save_strategy="no", disable_tqdm=True, logging_strategy="no",
        ),
        train_dataset=datasets.Dataset.from_dict({"prompt": ["copy this", "copy copy this"]}),
        processing_class=tokenizer.to_transformers(eos="<end>"),
        rollout_func=rollout,
    )  # fmt: skip
    trainer.train()
    assert any(not torch.equal(before[name], p) for name, p in model.named_parameters())

    # The trainer's own scores of the sampled tokens are the sampler's.
    model.load_state_dict(before | {"lm_head.weight": before["model.embed.weight"]})
    out = rollout(["copy this"] * 4, trainer)
    ids = [p + c for p, c in zip(out["prompt_ids"], out["completion_ids"], strict=True)]
    longest = max(map(len, ids))
    batch = torch.tensor([[0] * 3 + row + [0] * (longest - len(row)) for row in ids])
    keep = longest - len(out["prompt_ids"][0])
    scores, _, _ = trainer._get_per_token_logps_and_entropies(
        model, batch, batch.ne(0).long(), keep
    )
    for row, logprobs in zip(scores, seen[-4:], strict=True):
        assert torch.allclose(row[: len(logprobs)], torch.tensor(logprobs), atol=1e-4)
