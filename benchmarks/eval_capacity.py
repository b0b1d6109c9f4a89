"""How busy `rods eval` keeps an endpoint: `python benchmarks/eval_capacity.py`.

The server answers 64 requests at once and makes the others wait. Each answer takes a long-tailed
time (log-normal, sigma 1). Its model knows the ground truth, so the episodes have their usual
length. The command plays the tasks of the test side with 64 episodes at once. The short question
that it asks first is answered at once and not counted.

`busy` is the time in which places had a request, summed over the places, divided by 64 times the
time from the first request until the last episode has begun: from then on the queue of episodes is
empty and places must become free. The rest is the tail, which is reported too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rods.evaluation.endpoint import PROBE_TOKENS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from scripted_agent import Perfect, silent

PLACES, MEAN, SIGMA = 64, 3.0, 1.0


class Server:
    """A chat endpoint with a number of places.

    Attributes:
        spans: start and end of each answer's time in a place.
        begun: when the first request of an episode arrived, the latest one.
    """

    def __init__(self, mean: float) -> None:
        from rods.evaluation.selection import select

        self._agent, self._mean = Perfect(select("bfcl", None, "test", (), None).tasks), mean
        self._places, self._rng = asyncio.Semaphore(PLACES), random.Random(0)
        self.spans: list[tuple[float, float]] = []
        self.begun = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                body = await self._answer(json.loads(await reader.readexactly(size)))
                start = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                writer.write(f"{start}{len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> bytes:
        if request["max_tokens"] <= PROBE_TOKENS:
            return silent(request).body or b""
        if not any(message["role"] == "assistant" for message in request["messages"]):
            self.begun = time.monotonic()
        seconds = self._mean * self._rng.lognormvariate(-(SIGMA**2) / 2, SIGMA)
        async with self._places:
            start = time.monotonic()
            body = self._agent(request).body
            await asyncio.sleep(start + seconds - time.monotonic())
            self.spans.append((start, time.monotonic()))
        assert body is not None
        return body


def run(pipe: Connection, mean: float) -> None:
    """The server, until the pipe says that it is over."""

    async def go() -> None:
        server = Server(mean)
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1 << 26)
        pipe.send(listening.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)
        pipe.send((server.spans, server.begun))
        listening.close()

    asyncio.run(go())


def main() -> None:
    """Measure, print, and write the numbers if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=400, help="tasks")
    parser.add_argument("--mean", type=float, default=MEAN, help="seconds of an answer")
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=run, args=(there, args.mean))
    process.start()
    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{here.recv()}/v1"
        command = ["eval", "--endpoint", url, "--model", "perfect", "--temperature", "1", "--json"]
        command += ["--concurrency", str(PLACES), "--limit", str(args.limit), "--out", folder]
        start, used = time.monotonic(), os.times()
        done = subprocess.run(
            [sys.executable, "-m", "rods", *command], stdout=subprocess.PIPE, check=True
        )
        seconds, now = time.monotonic() - start, os.times()
    here.send(None)
    spans, begun = here.recv()
    process.join()
    found = json.loads(done.stdout)["results"]["overall"]
    first, last = min(s for s, _ in spans), max(e for _, e in spans)
    bulk = sum(min(e, begun) - s for s, e in spans if s < begun)
    result = {
        "episodes": found["episodes"],
        "complete": found["complete"]["mean"],
        "requests": len(spans),
        "places": PLACES,
        "mean_seconds": args.mean,
        "sigma": SIGMA,
        "seconds": round(seconds, 2),
        "seconds_until_queue_empty": round(begun - first, 2),
        "tail_seconds": round(last - begun, 2),
        "busy_with_tail": round(sum(e - s for s, e in spans) / (PLACES * (last - first)), 4),
        "client_cpu_ms_per_request": round(
            1000 * (now.children_user + now.children_system - used.children_user
                    - used.children_system) / len(spans), 2
        ),
        "busy": round(bulk / (PLACES * (begun - first)), 4),
    }  # fmt: skip
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, value in result.items():
        print(f"{name:<28}{value}")
    print(f"busy {result['busy']:.4f}")


if __name__ == "__main__":
    main()
