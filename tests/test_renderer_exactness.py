"""The ids of an episode are those of the family's own chat template, made piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from renderers.configs import Qwen3RendererConfig
from renderers.llama_3 import Llama3Renderer
from renderers.qwen3 import Qwen3Renderer

from mistral_oracle import mistral_ids
from rendering import WHOLE, play, renderer_of, template_chat, template_ids
from rods.renderers.families import FAMILIES
from rods.renderers.tools import function_schema

RENDERERS: dict[str, dict[str, Any]] = {
    **{family: {"family": family} for family in FAMILIES},
    "qwen3 with thoughts": {"family": "qwen3", "thinking": True},
    "qwen3.5": {"family": "qwen3", "template": "qwen3_5_nothink"},
}


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("episodes", [12, pytest.param(500, marks=pytest.mark.slow)])
def test_ids_are_those_of_the_template(name: str, episodes: int) -> None:
    renderer = renderer_of(**RENDERERS[name])
    rollouts, policy = play(renderer, seed=episodes, episodes=episodes)
    for number, rollout in enumerate(rollouts):
        ids = rollout.prompt_ids + rollout.completion_ids
        whole = template_ids(renderer, rollout, template_chat(rollout, policy.said[number]))
        assert ids == whole[: len(ids)], number
        assert len(whole) - len(ids) <= 2, "more than the end of the last answer"
        sampled = [i for i, own in zip(rollout.completion_ids, rollout.mask, strict=True) if own]
        assert sampled == [i for made in policy.made[number] for i in made]


ORACLES: dict[str, Callable[[Any], Any]] = {
    "qwen3": lambda tokenizer: Qwen3Renderer(tokenizer, _retaining(enable_thinking=False)),
    "qwen3-2507": lambda tokenizer: Qwen3Renderer(tokenizer, _retaining()),
    "llama3.1": Llama3Renderer,
    "llama3.2": Llama3Renderer,
}


def _retaining(**chosen: Any) -> Qwen3RendererConfig:
    return Qwen3RendererConfig(thinking_retention="all", **chosen)


@pytest.mark.parametrize("family", ORACLES)
@pytest.mark.parametrize("episodes", [3, pytest.param(500, marks=pytest.mark.slow)])
def test_ids_are_those_of_the_renderers_library(family: str, episodes: int) -> None:
    """Each prompt and each bridge, also after an answer that was cut off."""
    renderer = renderer_of(family)
    oracle = ORACLES[family](renderer.tokenizer)
    rollouts, policy = play(renderer, seed=episodes + 1, episodes=episodes)
    bridges = 0
    for number, rollout in enumerate(rollouts):
        chat = template_chat(rollout, policy.said[number])
        spoken = [at for at, message in enumerate(chat) if message["role"] == "assistant"]
        ids, seen = rollout.prompt_ids + rollout.completion_ids, policy.seen[number]
        tools = [function_schema(tool) for tool in rollout.conversation.tools]
        first = oracle.render_ids(chat[: spoken[0]], tools=tools, add_generation_prompt=True)
        assert rollout.prompt_ids == list(first)
        for turn, (at, until) in enumerate(pairwise(spoken)):
            if until == at + 1:
                continue  # the library makes nothing of an empty turn
            before, new = ids[: seen[turn]], chat[at + 1 : until]
            bridge = oracle.bridge_to_next_turn(before, policy.made[number][turn], new)
            assert ids[: seen[turn + 1]] == list(bridge.token_ids)
            bridges += 1
    assert bridges > episodes


@pytest.mark.parametrize("episodes", [3, pytest.param(500, marks=pytest.mark.slow)])
def test_ids_of_mistral_are_those_of_its_own_library(episodes: int) -> None:
    """Whole answers only: its library encodes the marks of a broken call as text."""
    renderer = renderer_of("mistral")
    rollouts, policy = play(renderer, episodes + 2, episodes, WHOLE)
    for number, rollout in enumerate(rollouts):
        chat = template_chat(rollout, policy.said[number])
        tools = [function_schema(tool) for tool in rollout.conversation.tools]
        ids = rollout.prompt_ids + rollout.completion_ids
        whole = mistral_ids(chat, tools)
        assert ids == whole[: len(ids)] and len(whole) - len(ids) <= 1
