"""verl's agent loop that plays our episodes. Imported only where verl is installed.

An error of the policy or of our code is returned and not raised: verl would log it, train on the
rollouts that are left, and go on. The driver ends the run with the error's text.
"""

from __future__ import annotations

from typing import Any

from ray.exceptions import RayActorError
from verl.experimental.agent_loop.agent_loop import (
    AgentLoopBase,
    AgentLoopMetrics,
    AgentLoopOutput,
    register,
)

from rods.errors import UserError, shown
from rods.rollout.rollout import Rollout
from rods.trainers.verl.player import Answer, ServerPolicy, player_of
from rods.trainers.verl.row import AGENT, KEY, MOST_ERROR, Order, Result

FIXED = ("top_p", "top_k", "repetition_penalty")


@register(AGENT)
class RodsAgent(AgentLoopBase):  # type: ignore[misc]  # verl has no types
    """Plays one rollout of a row."""

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        """The rollout of the row's task: ids, mask, log-probabilities, reward and result."""
        place, session = int(row["place"]), int(row.get("session_id", 0))
        try:
            order = Order.read(row)
            ours = self.config.rods
            player = player_of(ours.config)
            name = f"{ours.seed}-{order.step}-{order.place}-{session}"
            fixed = {key: sampling_params[key] for key in FIXED if key in sampling_params}
            policy = ServerPolicy(self._ask, name, fixed, ours.seeds)
            rollout = await player.play(order, policy)
        except RayActorError as error:
            died = UserError(f"a rollout server has died ({shown(str(error), MOST_ERROR // 2)})")
            return _output(None, 0.0, Result.failed(place, session, died))
        except Exception as error:
            return _output(None, 0.0, Result.failed(place, session, error))
        result, reward = Result(place, session, rollout), rollout.reward(order.reward)
        if rollout.lost:  # without gradient; the driver leaves it out of its group
            rollout = rollout._replace(mask=[0] * len(rollout.mask))
        return _output(rollout, 0.0 if reward is None else reward, result)

    async def _ask(self, name: str, ids: list[int], parameters: dict[str, Any]) -> Answer:
        made = await self.server_manager.generate(
            request_id=name, prompt_ids=ids, sampling_params=parameters
        )
        return Answer(made.token_ids, made.log_probs, made.extra_fields.get("global_steps"))


def _output(rollout: Rollout | None, reward: float, result: Result) -> AgentLoopOutput:
    """In verl's form. What was not played is one token that is masked out."""
    versions = rollout.versions if rollout and rollout.versions else (0,)
    return AgentLoopOutput(
        prompt_ids=rollout.prompt_ids if rollout else [0],
        response_ids=rollout.completion_ids if rollout else [0],
        response_mask=rollout.mask if rollout else [0],
        response_logprobs=rollout.logprobs if rollout else [0.0],
        reward_score=reward,
        num_turns=len(rollout.conversation.messages) if rollout else 0,
        metrics=AgentLoopMetrics(),
        extra_fields={
            KEY: result.plain(),
            "min_global_steps": min(versions),
            "max_global_steps": max(versions),
            "reward_extra_info": {},
        },
    )
