"""verl's loss with our settings is TRL's with our settings, and so is its gradient."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from drive import settings
from tensordict import TensorDict
from tiny_model import save_model
from trl_python import by_trl
from verl.utils import tensordict_utils
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.utils.losses import ppo_loss

from rods.config import Config
from rods.trainers.verl.config import verl_config
from rods.trainers.verl.settings import LOSSES, NO_DUAL_CLIP, Cluster

pytestmark = pytest.mark.cluster
ROWS, TOKENS = 16, 12
MOST_RATIO = math.e**20  # verl's own bound


@pytest.fixture(scope="module")
def rows() -> dict[str, torch.Tensor]:
    """Of one step: tokens of tools, a lost rollout, ratios far from 1 on both sides."""
    torch.manual_seed(0)
    logps = -torch.rand(ROWS, TOKENS)
    old = logps + torch.randn(ROWS, TOKENS)
    old[:, 0] = logps[:, 0] - 9.0  # a ratio of 8,000, with advantages of both signs
    mask = torch.randint(0, 2, (ROWS, TOKENS))
    mask[:, 0], mask[5] = 1, 0
    advantages = torch.randn(ROWS)
    advantages[:2] = torch.tensor([-1.5, 1.5])
    reference = logps + 0.3 * torch.randn(ROWS, TOKENS)
    return {
        "logps": logps, "old": old, "mask": mask, "advantages": advantages, "reference": reference,
    }  # fmt: skip


def configs(model: Path) -> list[dict[str, Any]]:
    """For each loss, with and without a KL term; all rows in one batch."""
    found = []
    for loss in LOSSES:
        for kl in (0.0, 0.1):
            one = settings(model, 1)
            one["hardware"] = {"gpus": 1}
            one["optimizer"] |= {"loss": loss, "kl": kl, "microbatch": ROWS}
            found.append(one)
    return found


def verl_loss(config: Config, rows: dict[str, torch.Tensor], folder: Path) -> Any:
    """Of verl's own loss function, and the gradient for the log-probabilities."""
    actor = omega_conf_to_dataclass(
        verl_config(config, folder, Cluster(), "model").actor_rollout_ref.actor
    )
    scores = rows["logps"].clone().requires_grad_()
    advantages = rows["advantages"].unsqueeze(1).expand(-1, TOKENS)
    fields = {
        "prompts": torch.ones(ROWS, 1, dtype=torch.long),
        "responses": torch.ones(ROWS, TOKENS, dtype=torch.long),
        "response_mask": rows["mask"],
        "old_log_probs": rows["old"],
        "advantages": advantages,
        "ref_log_prob": rows["reference"],
    }
    nested = {name: torch.nested.as_nested_tensor([*value], layout=torch.jagged)
              for name, value in fields.items()}  # fmt: skip
    data = TensorDict(nested, batch_size=ROWS)
    tensordict_utils.assign_non_tensor(
        data, dp_size=1, batch_num_tokens=rows["mask"].sum().item(), global_batch_size=ROWS
    )
    # The score of a token is at the position before it.
    shifted = torch.cat([scores, torch.zeros(ROWS, 1)], 1).flatten()
    loss, _ = ppo_loss(actor, {"log_probs": shifted}, data)
    loss.backward()
    assert scores.grad is not None
    return loss.item(), scores.grad


def test_the_loss_and_its_gradient_are_those_of_trl(
    rows: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    model, asked = tmp_path / "model", tmp_path / "settings.json"
    save_model(model)
    chosen = configs(model)
    asked.write_text(json.dumps([each | {"hardware": {"gpus": 0}} for each in chosen]))
    torch.save(rows, tmp_path / "rows.pt")
    places = [model, tmp_path / "rows.pt", asked, tmp_path / "out.pt"]
    by_trl("trl_loss.py", *map(str, places), folder=tmp_path)
    by_trl_found = torch.load(tmp_path / "out.pt")
    assert len(by_trl_found) == len(chosen)
    for one, (loss, gradient) in zip(chosen, by_trl_found, strict=True):
        found, ours = verl_loss(Config.model_validate(one), rows, tmp_path)
        assert found == pytest.approx(loss, rel=1e-5), one["optimizer"]
        torch.testing.assert_close(ours, gradient, rtol=1e-4, atol=1e-7)
        assert gradient.abs().max() > 1e-3


def test_the_dual_clip_cannot_act() -> None:
    """It does in verl's default, and no ratio of verl is above its own bound."""
    assert NO_DUAL_CLIP > MOST_RATIO
