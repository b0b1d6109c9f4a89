"""A single seed task gives variants with other tools of its toolkit, within its structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rods.files.tasks import read_tasks
from rods.profile import distance, profile
from rods.synthesis.cold.few import FEW, walks_of_few
from rods.synthesis.inputs import benchmark_inputs, own_inputs

ROOT = Path(__file__).parent.parent
CLINIC = "examples.clinic.tools:Clinic"
TASKS = ROOT / "examples/clinic/tasks.yaml"


@pytest.mark.parametrize("index", [2, 4])
def test_one_seed_task_gives_more_than_its_own_tools(
    rods: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    monkeypatch.chdir(ROOT)
    seed = tmp_path / "one.yaml"
    seed.write_text(yaml.safe_dump(yaml.safe_load(TASKS.read_text())[index : index + 1]))
    out = tmp_path / "made.jsonl"
    command = ("--env", CLINIC, "--tasks", seed, "--count", 20, "--out", out, "--workers", 1)
    assert rods("synth", *command).code == 0
    inputs, tasks = own_inputs(CLINIC, seed), read_tasks(out)
    own = {call.name for call in inputs.tasks[0].calls}
    used = {call.name for task in tasks for call in task.calls}
    assert len(tasks) == 20 and len(used - own) >= 2
    assert len({tuple(call.name for call in task.calls) for task in tasks}) >= 3
    phi = profile(inputs.tasks[0], inputs.env)
    assert all(distance(profile(task, inputs.env), phi) <= 0.25 for task in tasks)
    assert rods("verify", out, "--env", CLINIC, "--tasks", seed).code == 0


def test_many_seed_tasks_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    inputs = own_inputs(CLINIC, TASKS)
    assert len(inputs.seeds) > FEW and walks_of_few(inputs) == []
    assert walks_of_few(benchmark_inputs()) == []
