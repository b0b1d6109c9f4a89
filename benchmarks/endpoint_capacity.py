"""How much of an endpoint's capacity the client uses: `python benchmarks/endpoint_capacity.py`.

A server in a process of its own answers each request after one second, 64 at once, so it could
answer 64 a second. 64 threads ask it; the ratio of what is answered in a second to that capacity is
printed in the last line. The opening of connections counts too; a first question, which goes alone,
is asked before. If the requests are not whole rounds of 64, the last round leaves places empty;
`ratio_of_whole_rounds` leaves that out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from pydantic import BaseModel

from rods.synthesis.llm.endpoint import Endpoint, EndpointConfig, Prompt

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
LATENCY = 1.0  # seconds


class Plan(BaseModel):
    """An answer of usual size."""

    narrative: str
    turns: list[str]


ANSWER = Plan(narrative="A day at the office. " * 8, turns=["Please look at the file. " * 6] * 3)
PROMPT = Prompt("planner", "1", "You plan tasks. " * 100, "Tools and an example. " * 200)


def serve(pipe: Connection, latency: float) -> None:
    """The server, until the pipe says that it is over."""
    from scripted_endpoint import Reply, ScriptedEndpoint

    reply = Reply(ANSWER.model_dump_json(), delay=latency)
    with ScriptedEndpoint(lambda request: reply) as server:
        pipe.send(server.url)
        pipe.recv()
        pipe.send((server.requests, server.highest))


def main() -> None:
    """Measure, print, and write the numbers if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--parallel", type=int, default=64)
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there, LATENCY))
    server.start()
    try:
        config = EndpointConfig(url=here.recv(), model="scripted", parallel=args.parallel)
        endpoint = Endpoint(config)
        endpoint.ask(PROMPT, Plan)
        start, used = time.monotonic(), getrusage(RUSAGE_SELF)
        with ThreadPoolExecutor(args.parallel) as threads:
            asking = (
                threads.submit(endpoint.ask, PROMPT, Plan, str(n)) for n in range(args.requests)
            )
            wrong = sum(job.result() != ANSWER for job in list(asking))
        seconds = time.monotonic() - start
        now = getrusage(RUSAGE_SELF)
        here.send(None)
        seen, highest = here.recv()
    finally:
        server.join(5)
        server.kill()
    capacity = args.parallel / LATENCY
    least = -(-args.requests // args.parallel) * LATENCY
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    result = {
        "requests": args.requests,
        "parallel": args.parallel,
        "latency": LATENCY,
        "seconds": round(seconds, 3),
        "least_seconds": least,
        "requests_a_second": round(args.requests / seconds, 2),
        "ratio": round(args.requests / seconds / capacity, 4),
        "ratio_of_whole_rounds": round(least / seconds, 4),
        "cpu_ms_a_request": round(1000 * cpu / args.requests, 2),
        "seen_by_server": seen,
        "highest_at_once": highest,
        "wrong": wrong,
    }
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, value in result.items():
        print(f"{name:<24}{value}")
    print(f"ratio {result['ratio']:.4f}")


if __name__ == "__main__":
    main()
