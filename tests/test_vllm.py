"""Training with a vLLM server, by TRL's own client code against a scripted server.

Never run here: vLLM itself, its engine in the trainer's process (`vllm_colocate`), the transfer of
weights by NCCL, and a server on another machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_runs import arguments, logged
from small_shop import ask_first, open_shop
from stock_model import make_model

TIME = 600
LORA = "policy.lora={rank: 2, targets: [q_proj]}"
TOKENS, STEPS = 12, 2
SETTINGS = (
    f"rollout={{group_size: 4, tasks_per_step: 2, token_budget: 500, action_tokens: {TOKENS}}}",
    "optimizer={learning_rate: 1.0e-2, microbatch: 4}",
    "evaluation={tasks: 2, validation_every: 0}",
    "policy.generation=vllm_server",
    "policy.renderer={tool_docs: short}",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "processes", "adapters"),
    [("0.27.0", 1, ()), ("0.30.0", 1, (LORA,)), ("0.30.0", 2, ())],
)
def test_a_server_samples_with_the_trained_weights(
    tmp_path: Path, version: str, processes: int, adapters: tuple[str, ...]
) -> None:
    calls, states = trained(tmp_path, version, processes, *adapters)
    paths = [path for path, _ in calls]
    assert paths[0] == "/init_weight_transfer_engine"
    # Before the first measurement, and after each update before the next use.
    assert paths.count("/update_weights") == STEPS + 1
    names = {tuple(b["update_info"]["names"]) for p, b in calls if p == "/update_weights"}
    assert len(names) == 1 and "model.layers.0.self_attn.q_proj.weight" in next(iter(names))
    asked = [body for path, body in calls if path == "/v1/completions"]
    assert {(len(a["stop_token_ids"]), a["max_tokens"]) for a in asked} == {(2, TOKENS)}
    assert any(len(a["prompt"]) == 8 for a in asked), "one call for the episodes of all processes"
    # The log-probabilities of the server are those of the trainer, on the policy's own tokens.
    for state in states:
        assert state["sampling/importance_sampling_ratio/mean"] == pytest.approx(1, abs=1e-3)
        assert 0 < state["sampling/sampling_logp_difference/max"] < 1e-3
    assert any(state["grad_norm"] > 0 for state in states)


def trained(
    folder: Path, version: str, processes: int, *settings: str
) -> tuple[list[tuple[str, Any]], list[dict[str, float]]]:
    """What the server was asked, and what TRL logged at each step."""
    open_shop(folder)
    ask_first(folder)
    model = make_model(folder / "model", size=600, ending=0.1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"policy.vllm.url=http://127.0.0.1:{port}"
    here = Path(__file__).parent
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    launcher = [*run, "-m", "--"] if processes > 1 else ["-m"]
    command = ["train_by_vllm", *arguments(Path("run"), model, *SETTINGS, url, *settings)]
    paths = [str(here), str(here / "pretended_vllm"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, *launcher, *command],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PRETENDED_VLLM": version,
            "SERVED": str(model),
            "PORT": str(port),
            "CALLS": str(folder / "calls.json"),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=TIME,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "calls.json").read_text()), logged(folder / "run", STEPS)
