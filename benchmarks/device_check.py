"""Whether the micro policy and a training run work on this machine's GPU as they do on its CPU.

    python benchmarks/device_check.py --out FILE

Greedy tokens and log-probabilities of the same weights on both, then a run of the tiny preset on
the GPU, interrupted after two steps and resumed. Exit code 0: all is well; 1: it is not;
2: no CUDA device is here. `--device cpu` rehearses the script where there is none.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from rods.micro.model import MicroForCausalLM, MicroModelConfig
from rods.micro.policy import MicroPolicy
from rods.micro.renderer import MicroRenderer, build_tokenizer
from rods.rollout.policy import Generation, Sampling

ROWS, ROUNDS, EQUAL, CLOSE = 32, 3, 0.95, 1e-3
COMMAND = """import atexit, sys, torch; from rods.cli import main
atexit.register(lambda: print("gpu bytes", torch.cuda.max_memory_allocated(), file=sys.stderr))
main()"""  # the command line, which prints at its end how much GPU memory it used


def compare(device: str) -> dict[str, object]:
    """Episodes of the CPU, and each of its greedy actions again on the device."""
    renderer = MicroRenderer(
        build_tokenizer([f"{x}{y}" for x in "abcdefgh" for y in "abcdefgh"], {})
    )
    models, policies = [], []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(MicroForCausalLM(MicroModelConfig(vocab_size=len(renderer.tokenizer))))
        policies.append(MicroPolicy(models[-1], renderer, ROWS, context=256).seeded(0))
        policies[-1].enter(ROWS)
    models[1].to(device)  # after the policy was made, as a trainer does
    rng, equal, apart = random.Random(0), 0, 0.0
    histories = [[rng.randrange(1, 60) for _ in range(rng.randrange(2, 60))] for _ in range(ROWS)]
    for _ in range(ROUNDS):
        mine, its = (asyncio.run(ask(policy, histories)) for policy in policies)
        for history, (ids, here, _), (others, there, _) in zip(histories, mine, its, strict=True):
            if ids == others:
                equal += 1
                apart = max(abs(a - b) for a, b in zip([apart, *here], [0.0, *there], strict=True))
            history += [*ids, rng.randrange(1, 60)]
    share, device = equal / (ROWS * ROUNDS), str(models[1].device)
    good = share >= EQUAL and apart < CLOSE
    return {"device": device, "actions_equal": share, "logprobs_apart": apart, "good": good}


async def ask(policy: MicroPolicy, histories: list[list[int]]) -> list[Generation]:
    """The likeliest action of each episode."""
    asked = (
        policy.generate(history, Sampling(24, 0.0, episode=row))
        for row, history in enumerate(histories)
    )
    return await asyncio.gather(*asked)


def train(folder: Path, device: str, stop_after: int) -> dict[str, object]:
    """The command on the run in `folder`; if not 0, a SIGINT after that many steps."""
    command = [sys.executable, "-c", COMMAND, "train", "--preset", "tiny", "--run", str(folder)]
    env = os.environ | {"RODS_CACHE": str(folder.parent / "cache")}
    begun, lines = time.monotonic(), folder / "metrics.jsonl"
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as job:
        errors = interrupt_after(job, lines, stop_after)
    used = next((int(line.split()[-1]) for line in errors if line.startswith("gpu bytes")), 0)
    good = job.returncode == (130 if stop_after else 0) and (used > 0) is (device != "cpu")
    found = {"code": job.returncode, "gpu_bytes": used, "stderr": errors[-20:], "good": good}
    return {**found, "steps": len(steps(lines)), "seconds": round(time.monotonic() - begun, 1)}


def interrupt_after(job: subprocess.Popen[str], lines: Path, count: int) -> list[str]:
    """Wait for the end of a run, after a SIGINT if `count` is not 0; its lines of errors."""
    while len(steps(lines)) < count and job.poll() is None:
        time.sleep(0.05)
    if count:
        job.send_signal(signal.SIGINT)
    return job.communicate()[1].splitlines()


def steps(lines: Path) -> list[str]:
    """The lines of a run's metrics."""
    return lines.read_text().splitlines() if lines.exists() else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.exit(2, "no CUDA device here: nothing was checked\n")
    name = "CPU" if given.device == "cpu" else torch.cuda.get_device_name()
    parts = {"policy": compare(given.device)}
    with tempfile.TemporaryDirectory() as top:
        parts["interrupted run"] = train(Path(top) / "run", given.device, stop_after=2)
        parts["resumed run"] = train(Path(top) / "run", given.device, stop_after=0)
    print(*(f"{part} on {name}: {found}" for part, found in parts.items()), sep="\n")
    good = all(found["good"] for found in parts.values())
    if given.out:
        result = {"device": name, "torch": torch.__version__, "good": good, **parts}
        given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    sys.exit(0 if good else 1)
