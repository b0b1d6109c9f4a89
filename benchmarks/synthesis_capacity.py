"""How much of a model endpoint's capacity the whole pipeline uses.

    python benchmarks/synthesis_capacity.py --out benchmarks/results/synthesis_capacity.json

A server in a process of its own answers each request after one second, 64 at once: 64 requests a
second are its capacity. `rods synth` with all stages by the model runs against it. The last line is
the share of the capacity that was used between the first second in which it was full and the end of
the measurement; the share from the very first request on stands beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

from model_server import served
from rods.synthesis.batches import JobRunner, in_threads
from rods.synthesis.inputs import benchmark_inputs
from rods.synthesis.llm.backend import ModelBackend, jobs_at_once
from rods.synthesis.llm.endpoint import EndpointConfig

LATENCY = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--parallel", type=int, default=64)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    world = benchmark_inputs()
    with served(0, 0, 0, LATENCY) as server:
        config = EndpointConfig(url=server.url, model="scripted", parallel=args.parallel)
        pipeline = ModelBackend(config).pipeline(world.pipeline(), world.env)
        maker = JobRunner(pipeline, world.parents, 0, size=1, tries=2)
        batches = in_threads(maker, jobs_at_once(config))(0)
        funnel: Counter[str] = Counter()
        end = time.monotonic() + args.seconds
        while time.monotonic() < end:
            for made in next(batches):
                funnel.update(made.funnel)
        seen = server.seen()
        batches.close()
    arrivals = seen["arrivals"]
    result = {
        "parallel": args.parallel,
        "latency": LATENCY,
        "requests": len(arrivals),
        "highest at once": seen["highest"],
        "attempts": funnel["tried"],
        "admitted": funnel["admitted"],
        "ratio": share(arrivals, arrivals[args.parallel], args.parallel),
        "ratio from the first request": share(arrivals, arrivals[0], args.parallel),
    }
    for name, value in result.items():
        print(f"{name:<30}{value}")
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"ratio {result['ratio']:.4f}")
    return 0 if result["ratio"] >= 0.9 else 1


def share(arrivals: list[float], first: float, parallel: int) -> float:
    """Requests that came from `first` on, as a share of those that could have been answered."""
    counted = [at for at in arrivals if at >= first]
    return round(len(counted) * LATENCY / (parallel * (counted[-1] - first)), 4)


if __name__ == "__main__":
    sys.exit(main())
