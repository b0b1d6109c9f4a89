"""What may be wrong with a run that can work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rods.config import Config
from rods.preflight.ground_truth import Played

SHOWN = 3  # names in a note
LIMITS = (
    ("prompts", "token_budget", "they are left out, or fail if they are test tasks"),
    ("episodes", "token_budget", "their last turns cannot be reached"),
    ("actions", "action_tokens", "their calls are cut off"),
    ("turn_calls", "attempts", "an agent that writes one call an action cannot complete them"),
)
NAMES = {"turn_calls": "calls of a turn"}


def notes(config: Config, facts: Mapping[str, Any], played: Played) -> Iterator[str]:
    """One line for each thing.

    Args:
        facts: of the dry run.
    """
    for what, setting, effect in LIMITS:
        found = facts[what]
        long = {name: n for side in found["too_long"].values() for name, n in side.items()}
        if long:
            limit = f"rollout.{setting} = {getattr(config.rollout, setting):,}"
            worst = [f"{name} {n:,}" for name, n in sorted(long.items(), key=lambda pair: -pair[1])]
            count = f"{len(long)} of {len(found['tasks'])} ({_some(worst)})"
            yield f"{NAMES.get(what, what)} above {limit}: {count}; {effect}"
    if played.failed:
        yield f"ground truths not rewarded in full: {len(played.failed)} ({_some(played.failed)})"
    if unequal := facts["renderer"]["episodes_unequal"]:
        yield f"episodes that differ from the chat template: {_some(unequal)}"
    gib, memory = facts["memory"]["peak"] / 2**30, config.hardware.memory
    if gib > memory:
        yield f"about {gib:.0f} GiB are needed, and hardware.memory is {memory:g}"
    episodes = facts["memory"]["episodes"]
    if episodes is not None and episodes < 1:
        yield f"vLLM holds {episodes:.1f} whole episodes; raise policy.vllm.memory_share"


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN])
