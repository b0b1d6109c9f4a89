"""The savings of `SignalTrainer` change no gradient, whatever model it trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from transformers import Gemma2Config, GraniteConfig
from transformers.models.gemma2 import Gemma2ForCausalLM
from transformers.models.granite import GraniteForCausalLM
from transformers.models.qwen2 import Qwen2ForCausalLM
from trl.trainer.grpo_trainer import GRPOTrainer

from grpo import SIZES, assert_equal_gradients, batch, gradients, lora, micro, qwen2, trainer
from pretended_device import ELSEWHERE, move, pretending
from rods.trainers.signal_trainer import SignalTrainer


def granite() -> Any:
    """Its logits are divided after the output matrix."""
    torch.manual_seed(0)
    return GraniteForCausalLM(GraniteConfig(**SIZES, logits_scaling=0.5))


def gemma2() -> Any:
    """Its logits are capped after the output matrix."""
    torch.manual_seed(0)
    caps = {"final_logit_softcapping": 0.02, "attn_logit_softcapping": None}
    return Gemma2ForCausalLM(Gemma2Config(**SIZES, **caps))


class AroundItsHead(Qwen2ForCausalLM):
    """Uses the weights of the output matrix without calling it."""

    def forward(self, input_ids: Any = None, attention_mask: Any = None, **rest: Any) -> Any:
        states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        output = super().forward(input_ids[:, :1])
        output.logits = F.linear(states, self.lm_head.weight)
        return output


MODELS = {
    "micro": micro,
    "micro, lora": lambda: lora(micro(), "qkv", "down"),
    "qwen2": qwen2,
    "qwen2, lora": lambda: lora(qwen2(), "q_proj", "v_proj"),
    "granite": granite,
    "gemma2": gemma2,
    "a head that is not called": lambda: qwen2(AroundItsHead),
}


@contextmanager
def process_group(folder: Path) -> Iterator[None]:
    """One process that could be one of many."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=0, world_size=1
    )
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo"])
@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_that_of_the_plain_trainer(tmp_path: Path, name: str, loss: str) -> None:
    plain, ours = (
        gradients(trainer(kind, tmp_path, MODELS[name](), loss_type=loss), batch())
        for kind in (GRPOTrainer, SignalTrainer)
    )
    assert_equal_gradients(plain, ours)


@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo"])
@pytest.mark.parametrize("finds_unused", [False, True])
def test_the_hooks_of_data_parallel_training_run(
    tmp_path: Path, finds_unused: bool, loss: str
) -> None:
    plain = gradients(trainer(GRPOTrainer, tmp_path, micro(), loss_type=loss), batch())
    made = trainer(SignalTrainer, tmp_path, micro(), loss_type=loss)
    with process_group(tmp_path):
        wrapped = DistributedDataParallel(made.model, find_unused_parameters=finds_unused)
        entered: list[Any] = []
        wrapped.register_forward_pre_hook(lambda module, given: entered.append(module))
        reduced: list[Any] = []
        wrapped.register_comm_hook(reduced, _reduce)
        ours = gradients(made, batch(), wrapped)
    assert_equal_gradients(plain, ours)
    assert entered
    assert reduced, "no gradients were exchanged"


def _reduce(seen, bucket):  # `torch` reads annotations, and these would be strings
    seen.append(bucket.index())
    done = torch.futures.Future()
    done.set_result(bucket.buffer())
    return done


@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo"])
@pytest.mark.parametrize("name", ["micro", "micro, lora", "qwen2"])
def test_only_what_can_have_a_gradient_is_computed(tmp_path: Path, name: str, loss: str) -> None:
    made, inputs = trainer(SignalTrainer, tmp_path, MODELS[name](), loss_type=loss), batch()
    logits, rows = [], []
    made.model.get_output_embeddings().register_forward_hook(
        lambda head, given, out: logits.append(out.shape[:-1].numel())
    )
    made.model.register_forward_pre_hook(
        lambda model, args, given: rows.append(len(given["input_ids"])), with_kwargs=True
    )
    gradients(made, inputs)
    own = (inputs["tool_mask"] * inputs["completion_mask"]).bool()
    own &= inputs["advantages"].ne(0)[:, None]
    assert sum(logits) == own.sum()
    assert sum(rows) == own.any(1).sum()


@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo"])
@pytest.mark.parametrize("name", ["micro", "micro, lora", "qwen2"])
def test_a_batch_without_signal_has_a_gradient_of_zero(
    tmp_path: Path, name: str, loss: str
) -> None:
    inputs = batch()
    inputs["advantages"].zero_()
    found = gradients(trainer(SignalTrainer, tmp_path, MODELS[name](), loss_type=loss), inputs)
    assert all(g.eq(0).all() for g in found.values())


def test_a_batch_without_a_token_of_the_policy_has_a_gradient_of_zero(tmp_path: Path) -> None:
    inputs = batch()
    inputs["tool_mask"].zero_()
    inputs["completion_mask"][0] = 0
    found = gradients(trainer(SignalTrainer, tmp_path, micro()), inputs)
    assert all(g.eq(0).all() for g in found.values())


@pytest.mark.parametrize(("name", "temperature"), [("micro", 0.01), ("qwen2", 0.002)])
def test_scores_from_before_the_update_count_as_they_do_in_the_plain_trainer(
    tmp_path: Path, name: str, temperature: float
) -> None:
    """At such temperatures the ratio of a token that is not the policy's would overflow."""
    settings = {"temperature": temperature, "steps_per_generation": 1, "num_iterations": 2}
    found, losses = [], []
    for kind in (GRPOTrainer, SignalTrainer):
        made, inputs = trainer(kind, tmp_path, MODELS[name](), **settings), batch()
        with torch.no_grad():
            old, _, _ = GRPOTrainer._get_per_token_logps_and_entropies(
                made,
                made.model,
                torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1),
                torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1),
                20,
            )
        assert old.min() < -150
        torch.manual_seed(2)
        inputs["old_per_token_logps"] = old + 0.1 * torch.randn(old.shape)
        found.append(gradients(made, inputs))
        with torch.no_grad():
            losses.append(made._compute_loss(made.model, inputs).item())
    plain, ours = found
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    for name, gradient in plain.items():
        difference = (ours[name] - gradient).abs().max()
        assert difference < 1e-3 * gradient.abs().max(), name


@pytest.mark.parametrize(
    "settings", [{"beta": 0.1}, {"entropy_coef": 0.1}, {"top_entropy_quantile": 0.5}]
)
def test_terms_that_look_at_rows_without_advantage_get_them(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    micro().save_pretrained(tmp_path / "model")
    found = []
    for kind in (GRPOTrainer, SignalTrainer):
        model = micro().from_pretrained(tmp_path / "model")
        inputs = batch()
        inputs["ref_per_token_logps"] = torch.full((40, 20), -3.0)
        found.append(gradients(trainer(kind, tmp_path, model, **settings), inputs))
    assert_equal_gradients(*found)


def test_the_logged_entropy_is_that_of_the_tokens_that_were_run(tmp_path: Path) -> None:
    logged = []
    for kind in (GRPOTrainer, SignalTrainer):
        made, inputs = trainer(kind, tmp_path, micro()), batch()
        if kind is GRPOTrainer:
            inputs["tool_mask"] *= inputs["advantages"].ne(0)[:, None]
        gradients(made, inputs)
        logged += made._metrics["train"]["entropy"]
    assert logged[1] == pytest.approx(logged[0], rel=1e-5)


def test_of_several_gpus_one_process_uses_one(tmp_path: Path) -> None:
    class Several(SignalTrainer):
        def __init__(self, *, args: Any, **rest: Any) -> None:
            args._n_gpu = 2  # what a machine with two tells
            super().__init__(args=args, **rest)

    assert trainer(Several, tmp_path, micro()).args.n_gpu == 1


def test_it_computes_where_the_weights_are(tmp_path: Path) -> None:
    made, inputs = trainer(SignalTrainer, tmp_path, micro()), batch()
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    made._own = (inputs["tool_mask"] * inputs["completion_mask"]).bool()
    here = made._get_per_token_logps_and_entropies(made.model, ids, mask, 20)
    with pretending():
        move(made.model)
        made._own = made._own.to(ELSEWHERE)
        there = made._get_per_token_logps_and_entropies(
            made.model, ids.to(ELSEWHERE), mask.to(ELSEWHERE), 20
        )
        assert {tensor.device for tensor in there[:2]} == {ELSEWHERE}
    assert torch.equal(here[0], there[0].cpu())
    assert torch.equal(here[1], there[1].cpu())
