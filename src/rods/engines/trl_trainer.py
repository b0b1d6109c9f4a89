"""A `GRPOTrainer` that computes only what can carry a gradient; the gradient is the same.

Two savings, both exact: tokens of the user and the tools are masked out of the loss, so their
logits are not computed; and rows whose advantage is zero are not run through the model at all,
where the loss is a sum over tokens divided by a number fixed beforehand (`dapo`) and no KL term
looks at them. What is private in TRL and used here is used in this file alone (TRL 1.16).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from trl.trainer.grpo_trainer import GRPOTrainer

CHUNK = 16  # rows a forward pass
ROWS = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "tool_mask", "advantages")


class SignalTrainer(GRPOTrainer):
    """GRPO over the policy's own tokens, in rows that teach something."""

    _own: Tensor | None = None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        if self.loss_type == "dapo" and self.beta == 0.0 and "old_per_token_logps" not in inputs:
            inputs = _with_signal(inputs)
        self._own = inputs.get("tool_mask")
        if self._own is not None:
            self._own = self._own * inputs["completion_mask"]
        try:
            return super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
        finally:
            self._own = None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        **rest: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Log-probabilities and entropies [rows, logits_to_keep]; 0 at tokens not the policy's."""
        own = self._own
        if own is None or own.shape != (len(input_ids), logits_to_keep):
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model, input_ids, attention_mask, logits_to_keep, **rest
            )
        unwrapped = self.accelerator.unwrap_model(model)
        mask = own.bool()
        logps = torch.zeros(mask.shape, device=input_ids.device)
        entropies = torch.zeros_like(logps)
        # Rows of like length together, each chunk cut to its own longest: little padding is run.
        order = attention_mask.sum(1).argsort()
        for rows in torch.split(order, CHUNK):
            used = attention_mask[rows].any(0).nonzero()
            start, end = int(used[0]), int(used[-1]) + 1
            states = unwrapped.base_model(
                input_ids=input_ids[rows, start:end], attention_mask=attention_mask[rows, start:end]
            ).last_hidden_state
            kept = end - (input_ids.shape[1] - logits_to_keep)  # completion columns in use
            of_chunk = mask[rows, :kept]
            logits = unwrapped.get_output_embeddings()(states[:, -kept - 1 : -1][of_chunk])
            logp = (logits.float() / self.temperature).log_softmax(-1)
            targets = input_ids[rows, end - kept : end][of_chunk]
            at_row, at_column = of_chunk.nonzero(as_tuple=True)
            index = (rows[at_row], at_column)
            logps = logps.index_put(index, logp.gather(-1, targets[:, None]).squeeze(-1))
            seen = logp.detach()
            entropies = entropies.index_put(index, -(seen.exp() * seen).sum(-1))
        return logps, entropies, None


def _with_signal(inputs: dict[str, Any]) -> dict[str, Any]:
    """The rows with an advantage; one row is kept where there is none."""
    keep = inputs["advantages"].ne(0)
    if not keep.any():
        keep[0] = True
    return {**inputs, **{name: inputs[name][keep] for name in ROWS if name in inputs}}
