"""Small trainers and batches for tests of what a trainer computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import Qwen2Config
from transformers.models.qwen2 import Qwen2ForCausalLM

from fragile import ADD
from rods.micro.model import MicroForCausalLM, MicroModelConfig
from rods.micro.tokenizer import MicroTokenizer
from rods.rollout.episode import Action
from rods.rollout.messages import Conversation, Message
from rods.task import ToolSpec

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
LETTERS = "abcdefgh"
WORDS = MicroTokenizer.build([x + y for x in LETTERS for y in LETTERS], ["<end>", "<user>"])
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 1,
}


class ParityRenderer:
    """A family of models that call `add` by an even token and end a turn by an odd one."""

    stop_ids = (WORDS.symbol("<end>"),)

    def begin(self, conversation: Conversation) -> list[int]:
        offered = [i for tool in conversation.tools for i in WORDS.encode(tool.name)]
        return [*offered, *self.extend(conversation.messages)]

    def extend(self, messages: Sequence[Message], action: Sequence[int] = ()) -> list[int]:
        said = [i for m in messages for i in (WORDS.symbol("<user>"), *WORDS.encode(m.text))]
        return [*said, WORDS.symbol("<end>")]

    def parse(self, ids: Sequence[int], tools: Mapping[str, ToolSpec]) -> Action:
        return Action() if ids[0] % 2 else Action(calls=(ADD,))

    def show(self, ids: Sequence[int]) -> str:
        return " ".join(WORDS.vocabulary[i] for i in ids)


def micro() -> MicroForCausalLM:
    """Two layers, some thousand weights; every call gives the same."""
    torch.manual_seed(0)
    return MicroForCausalLM(
        MicroModelConfig(vocab_size=len(WORDS), width=16, layers=2, heads=2, context=64)
    )


def qwen2(kind: Any = Qwen2ForCausalLM) -> Any:
    """As small, and none of ours; with buffers, that processes tell each other of."""
    torch.manual_seed(0)
    return kind(Qwen2Config(**SIZES))


def lora(model: Any, *modules: str) -> Any:
    """The model behind adapters at these modules that already have an effect."""
    from peft import LoraConfig, get_peft_model

    wrapped = get_peft_model(
        model, LoraConfig(r=2, target_modules=list(modules), task_type="CAUSAL_LM")
    )
    torch.manual_seed(1)
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return wrapped


def trainer(
    kind: Any,
    folder: Path,
    model: Any,
    reward: Any = lambda completions, **_: [0.0] * len(completions),
    rollout: Callable[..., Any] | None = None,
    **settings: Any,
) -> Any:
    """A trainer of this kind on the CPU: groups of four, all forty rows in one batch, one step."""
    from trl.trainer.grpo_config import GRPOConfig

    chosen = {
        "per_device_train_batch_size": 40,
        "num_generations": 4,
        "max_steps": 1,
        "temperature": 0.7,
        "beta": 0.0,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        **settings,
    }
    return kind(
        model=model,
        reward_funcs=reward,
        args=GRPOConfig(output_dir=str(folder), **chosen),
        train_dataset=Dataset.from_dict({"prompt": ["aa"] * 40}),
        processing_class=WORDS.to_transformers("<end>"),
        rollout_func=rollout,
    )


def batch(rows: int = 40) -> dict[str, Any]:
    """Ragged prompts (padded left) and completions (padded right), a third without advantage."""
    torch.manual_seed(1)
    made = {
        "prompt_ids": torch.randint(1, len(WORDS), (rows, 6)),
        "prompt_mask": torch.ones(rows, 6, dtype=torch.long),
        "completion_ids": torch.randint(1, len(WORDS), (rows, 20)),
        "completion_mask": torch.ones(rows, 20, dtype=torch.long),
        "tool_mask": torch.randint(0, 2, (rows, 20)),
        "advantages": torch.randn(rows),
    }
    for row in range(rows):
        prompt, completion = row % 5, row % 13
        made["prompt_ids"][row, :prompt] = made["prompt_mask"][row, :prompt] = 0
        made["completion_ids"][row, 20 - completion :] = 0
        made["completion_mask"][row, 20 - completion :] = 0
    made["advantages"][::3] = 0.0
    made["num_items_in_batch"] = (made["tool_mask"] * made["completion_mask"]).sum()
    return made


def gradients(made: Any, inputs: dict[str, Any], wrapped: Any = None) -> dict[str, torch.Tensor]:
    """Of the trainer's loss of the batch, by the name of the weight; the trained ones' alone."""
    model = made.model
    model.train()
    model.zero_grad()
    made.current_gradient_accumulation_steps = 1
    made._compute_loss(wrapped or model, inputs).backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all(p.grad is not None for p in trained.values())
    return {name: p.grad.clone() for name, p in trained.items()}


def assert_equal_gradients(plain: dict[str, torch.Tensor], ours: dict[str, torch.Tensor]) -> None:
    """Equal but for rounding, and not because there are none."""
    assert plain.keys() == ours.keys()
    assert any(g.abs().max() > 1e-4 for g in plain.values())
    for name, gradient in plain.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-6, rtol=1e-4)
