"""Whether the kind of policy "model" trains on this machine's GPU: bfloat16, LoRA and whole.

    python benchmarks/model_check.py --out FILE [--model FOLDER] [--device cpu]

First the log-probabilities of sampled actions are compared with those that training computes for
the same tokens. Then two runs on the benchmark's tasks with short tool documents: one with LoRA,
which is interrupted and resumed, and one of all weights. Both have gradient checkpointing. Exit
code 0: all is well; 1: it is not. `--device cpu` rehearses it with a smaller model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from device_check import COMMAND, interrupt_after, steps
from rods.policies.causal_model import load_model
from rods.policies.model import ModelSettings
from rods.policies.transformers import TransformersPolicy
from rods.rollout.policy import Generation, Sampling
from rods.trainers.token_scores import token_scores
from stock_model import make_model

CLOSE = 0.05  # mean difference of log-probabilities in bfloat16
LORA = "policy.lora={rank: 16, alpha: 32, dropout: 0.0, targets: [all-linear]}"
WHOLE = ("steps=2", "evaluation.tasks=0")
SIZES = {  # of the model, of a step, and of the comparison
    "cuda": ({"width": 768, "layers": 12, "heads": 12, "ending": 0.0075}, (8, 8, 48), (16, 2_000)),
    "cpu": ({"width": 32, "layers": 2, "heads": 4, "ending": 0.015}, (4, 2, 48), (2, 200)),
}


def compare(folder: Path, device: str) -> dict[str, Any]:
    """Sampled log-probabilities and those of one forward pass over the whole episodes."""
    rows, prompt = SIZES[device][2]
    settings = ModelSettings(model=str(folder))
    loaded = load_model(settings, training=True)
    model = loaded.model.to(device)
    cast = None if loaded.dtype is torch.float32 else loaded.dtype
    policy = TransformersPolicy(model, loaded.tokenizer.pad_token_id, rows, cast).seeded(0)
    torch.manual_seed(0)
    prompts = torch.randint(10, len(loaded.tokenizer) - 10, (rows, prompt)).tolist()
    begun = time.monotonic()
    made = asyncio.run(ask(policy, prompts))
    seconds = time.monotonic() - begun
    apart: list[float] = []
    with torch.no_grad(), torch.autocast(device, cast or torch.bfloat16, enabled=bool(cast)):
        for ids, answer in zip(prompts, made, strict=True):
            whole = torch.tensor([ids + answer.ids], device=device)
            scored = torch.zeros_like(whole, dtype=torch.bool)
            scored[:, len(ids) :] = True
            head = model.get_output_embeddings()
            found, _ = token_scores(model, head, whole, torch.ones_like(whole), scored, 1.0, 1)
            logprobs = found[0, len(ids) :].tolist()
            apart += [abs(a - b) for a, b in zip(logprobs, answer.logprobs, strict=True)]
    mean = sum(apart) / len(apart)
    return {
        "dtype": str(loaded.dtype),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "tokens": len(apart),
        "tokens_per_second": round(len(apart) / seconds, 1),
        "mean_apart": mean,
        "most_apart": max(apart),
        "good": mean < CLOSE,
    }


async def ask(policy: TransformersPolicy, prompts: list[list[int]]) -> list[Generation]:
    policy.enter(len(prompts))
    asked = (policy.generate(ids, Sampling(64, 1.0, (), row)) for row, ids in enumerate(prompts))
    return await asyncio.gather(*asked)


def train(
    folder: Path, model: Path, device: str, stop_after: int, *settings: str
) -> dict[str, Any]:
    """The command on the run in `folder`; if not 0, a SIGINT after that many steps."""
    size, tasks, tokens = SIZES[device][1]
    chosen = {
        "policy.name": "model",
        "policy.model": str(model),
        "policy.renderer": "{tool_docs: short}",
        "policy.rows": 64,
        "rollout": f"{{group_size: {size}, tasks_per_step: {tasks}, token_budget: 2560,"
        f" action_tokens: {tokens}, attempts: 2}}",
        "optimizer": "{learning_rate: 1.0e-4, microbatch: 4}",
        "stages": "[{categories: [miss_func, miss_param], expand: false}]",
        "pool.seeds": 16,
        "steps": 4,
        "checkpoint_steps": 2,
        "evaluation": "{tasks: 2, validation_every: 0}",
    }
    changes = [*(f"{key}={value}" for key, value in chosen.items()), *settings]
    arguments = [part for change in changes for part in ("--set", change)]
    command = [sys.executable, "-c", COMMAND, "train", "--preset", "tiny", "--run", str(folder)]
    begun = time.monotonic()
    with subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True) as job:
        errors = interrupt_after(job, folder / "metrics.jsonl", stop_after)
    seconds = time.monotonic() - begun
    lines = [json.loads(line) for line in steps(folder / "metrics.jsonl")]
    used = next((int(line.split()[-1]) for line in errors if line.startswith("gpu bytes")), 0)
    norms = [line["grad_norm"] for line in lines]
    finite = all(math.isfinite(line["loss"]) for line in lines)
    good = job.returncode == (130 if stop_after else 0) and (used > 0) is (device != "cpu")
    return {
        "code": job.returncode,
        "steps": len(lines),
        "seconds": round(seconds, 1),
        "step_seconds": [line["seconds"] for line in lines],
        "gpu_bytes": used,
        "generated_tokens": sum(line["generated_tokens"] for line in lines),
        "signal": [line["signal"] for line in lines],
        "grad_norm": norms,
        "stderr": errors[-20:],
        "good": good and finite and any(norm > 0 for norm in norms),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--model", type=Path, help="folder of a chat model; else one is made")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.exit(2, "no CUDA device here: nothing was checked\n")
    name = "CPU" if given.device == "cpu" else torch.cuda.get_device_name()
    parts: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as top:
        os.environ["RODS_CACHE"] = str(Path(top) / "cache")
        model = given.model or make_model(Path(top) / "model", **SIZES[given.device][0])
        place, device = Path(top), given.device
        works: dict[str, Callable[[], dict[str, Any]]] = {
            "log-probabilities": lambda: compare(model, device),
            "LoRA, interrupted": lambda: train(place / "lora", model, device, 2, LORA),
            "LoRA, resumed": lambda: train(place / "lora", model, device, 0, LORA),
            "all weights": lambda: train(place / "whole", model, device, 0, *WHOLE),
        }
        for part, work in works.items():
            parts[part] = work()
            print(f"{part} on {name}: {parts[part]}", flush=True)
    good = all(found["good"] for found in parts.values())
    if given.out:
        result = {"device": name, "torch": torch.__version__, "good": good, **parts}
        given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    sys.exit(0 if good else 1)
