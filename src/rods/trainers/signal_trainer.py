"""A `GRPOTrainer` that computes only what can carry a gradient; the gradient is the same.

Three things differ from TRL, and none changes a gradient beyond rounding:

- Tokens of the user and the tools are masked out of the loss, so their logits are not computed.
- Rows whose advantage is zero are not run through the model, unless another term of the loss uses
  them. They stay in the batch: `grpo` and `dr_grpo` divide by the number of rows.
- A group whose rewards are equal, as the reward function gave them, has an advantage of exactly
  zero. TRL takes the mean in float32, which need not be the common reward: eight times 0.2 gives
  an advantage of -1.5e-4.

Private parts of TRL are used in this file only (TRL 1.16).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import is_async_callable

from rods.trainers.token_scores import MisfitError, token_scores

CHUNK = 16  # rows a forward pass
PLAIN = {"batch_size", "compute_entropy"}  # options of the scores that are supported
Noted = dict[int, list[float]]
"""By the place of a reward function: the rewards of its latest call; NaN for unscorable."""


class SignalTrainer(GRPOTrainer):
    """GRPO over the policy's own tokens, in rows with an advantage.

    One process uses one device. Of several GPUs that is the first, unless the program was started
    as several processes.

    Args:
        more_logs: returns values that the trackers get together with those that TRL logs.
    """

    _own: Tensor | None = None
    _fits = True

    def __init__(
        self,
        *,
        args: Any,
        more_logs: Callable[[dict[str, float]], Mapping[str, float]] = lambda logs: {},
        **rest: Any,
    ) -> None:
        if args.n_gpu > 1:
            args._n_gpu = 1  # `Trainer` would spread each batch over the GPUs, which TRL refuses
        super().__init__(args=args, **rest)
        self._more_logs = more_logs

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log values together with those that `more_logs` returns for them."""
        super().log({**logs, **self._more_logs(logs)}, start_time)

    def _calculate_rewards(self, inputs: Any, *rollouts: Any) -> Tensor:
        """Rewards [rows of all processes, functions] in float64, exactly as given."""
        noted: Noted = {}
        functions: list[Any] = self.reward_funcs
        self.reward_funcs = [
            f if isinstance(f, nn.Module) else noting(f, is_async_callable(f), noted, place)
            for place, f in enumerate(functions)
        ]
        try:
            rewards: Tensor = super()._calculate_rewards(inputs, *rollouts).double()
        finally:
            self.reward_funcs = functions
        for place in sorted(noted):  # in the same order in all processes
            rewards[:, place] = self.accelerator.gather(column(noted[place], rewards.device))
        self._totals = total(rewards, self.reward_weights.to(rewards.device))
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        model: Any = self.model
        advantages = output["advantages"].float()
        # The other way of adding up several rewards compares groups with each other.
        if self.multi_objective_aggregation == "sum_then_normalize":
            size: Any = self.num_generations if model.training else self.num_generations_eval
            first = self.accelerator.process_index * len(inputs)
            silent = constant(self._totals, size)[first : first + len(inputs)]
            advantages = advantages.masked_fill(silent, 0.0)
        return {**output, "advantages": advantages}

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        own = (inputs["completion_mask"] * inputs.get("tool_mask", 1)).ne(0)
        if self.beta == 0.0 and self.top_entropy_quantile >= 1.0:
            own &= inputs["advantages"].ne(0).unsqueeze(1)
        if not own.any():
            own[0, 0] = True  # the loss must depend on the model: other processes wait for it
        # An entropy bonus and a router's loss have separate gradients.
        self._own = None if self._entropy_bonus_enabled or self.aux_loss_enabled else own
        if self._own is not None and "old_per_token_logps" in inputs:
            # Tokens that are not scored count as unchanged; e to the difference may overflow.
            old = inputs["old_per_token_logps"].masked_fill(~own, 0.0)
            inputs = {**inputs, "old_per_token_logps": old}
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
        """Log-probabilities and entropies [rows, logits_to_keep]; TRL's where ours do not apply."""
        own = self._own
        more = {name for name, value in rest.items() if value is not None and value is not False}
        head = self.accelerator.unwrap_model(model).get_output_embeddings()
        if own is not None and head is not None and self._fits and more <= PLAIN:
            try:
                with self.accelerator.autocast():
                    logps, entropies = token_scores(
                        model,
                        head,
                        input_ids,
                        attention_mask,
                        F.pad(own, (input_ids.shape[1] - logits_to_keep, 0)),
                        self.temperature,
                        # Each forward may be one of all processes together.
                        CHUNK if self.accelerator.num_processes == 1 else len(input_ids),
                    )
            except MisfitError:
                self._fits = False
            else:
                logps, entropies = logps[:, -logits_to_keep:], entropies[:, -logits_to_keep:]
                # TRL logs a mean over all tokens; those that were not run must not lower it.
                return logps, entropies.where(own, entropies[own].mean()), None
        return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
            model, input_ids, attention_mask, logits_to_keep, **rest
        )


def noting(function: Callable[..., Any], is_async: bool, noted: Noted, place: int) -> Any:
    """The reward function, with what it returns written to `noted[place]` as well."""

    def note(made: Iterable[float | None]) -> list[float | None]:
        given = list(made)
        noted[place] = [math.nan if reward is None else float(reward) for reward in given]
        return given

    if is_async:

        @functools.wraps(function)
        async def later(**arguments: Any) -> list[float | None]:
            return note(await function(**arguments))

        return later

    @functools.wraps(function)
    def now(**arguments: Any) -> list[float | None]:
        return note(function(**arguments))

    return now


def constant(rewards: Tensor, size: int) -> Tensor:
    """Which rollouts belong to groups whose rewards are all equal, to the last bit; shape [rows].

    Args:
        rewards: [rows], group after group; NaN is unscorable and left out, so that a group with
            one scorable rollout or none is constant.
        size: rollouts of a group.
    """
    groups = rewards.view(-1, size)
    missing = groups.isnan()
    least = groups.masked_fill(missing, math.inf).amin(1)
    most = groups.masked_fill(missing, -math.inf).amax(1)
    return most.le(least).repeat_interleave(size)


def total(rewards: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums [rows] of rewards [rows, functions]; NaN where no function could score."""
    found = (rewards * weights).nansum(1)
    return found.masked_fill(rewards.isnan().all(1), math.nan)


def column(rewards: list[float], device: torch.device) -> Tensor:
    """Rewards [rows] with all the bits of a Python float."""
    return torch.tensor(rewards, dtype=torch.float64, device=device)
