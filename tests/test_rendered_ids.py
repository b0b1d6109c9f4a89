"""The micro renderer writes the ids that the policy of the package was trained on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.hints import Hinter
from rods.micro.renderer import MicroRenderer, build_tokenizer
from rods.reward import NO_TRACE, gold_trace
from rods.rollout.episode import Action, Episode
from rods.task import Task

ENV, TASKS = BfclEnvironment(), benchmark_tasks()
WORDS = ["the", "file", "report", "error", "price", "call", "first", "check"]
RENDERER = MicroRenderer(build_tokenizer(WORDS, tool_specs()))
# Computed by the first renderer, which had the task before it.
EXPECTED = json.loads(Path(__file__).with_name("rendered_ids.json").read_text())


def digest(ids: Any) -> str:
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:16]


def rendered(task: Task, hints: bool) -> str:
    """Of an episode with actions of all kinds: malformed, failing, right, and where none fits."""
    episode = Episode(task, ENV, gold_trace(task, ENV), hinter=Hinter() if hints else None)
    ids = RENDERER.begin(episode.conversation)
    for turn in task.turns:
        wrong = tuple(c.model_copy(update={"arguments": {}}) for c in turn.ground_truth)
        calls = [wrong[:2], *((c,) for c in turn.ground_truth), ()] if wrong else [task.calls[:2]]
        for action in [Action(malformed="no calls"), *(Action(calls=tuple(c)) for c in calls)]:
            if episode.ending is None:
                ids += RENDERER.extend(episode.act(action))
    return digest([ids, episode.progress, episode.ending and episode.ending.value, 0])


def test_prompts_of_all_tasks() -> None:
    prompts = [RENDERER.begin(Episode(task, ENV, NO_TRACE).conversation) for task in TASKS.values()]
    assert digest(prompts) == EXPECTED["prompts"]


def test_whole_episodes() -> None:
    """With hints in every other one."""
    several = {name for name, task in TASKS.items() if len(task.withheld) > 1}
    assert len(several) == 18 and several <= EXPECTED["episodes"].keys()
    for number, (name, expected) in enumerate(EXPECTED["episodes"].items()):
        assert rendered(TASKS[name], hints=number % 2 == 1) == expected, name
