"""Servers of models that misbehave: is any answer wrong in silence, or any cause not named?

    python benchmarks/server_faults.py --out benchmarks/results/server_faults.json

Each of `MODES` (server_modes.py, vendor_modes.py) is a real HTTP server in a thread, and answers
three questions of the real client. What the server says last is the right answer; another one is
silently wrong.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rods.errors import UserError
from rods.synthesis.llm.endpoint import Endpoint, EndpointConfig, ModelError, Prompt
from server_modes import AGAIN, ANSWERED, AT_ONCE, FINAL, Mode, ScriptedEndpoint
from server_modes import MODES as COMMON
from vendor_modes import VENDOR_MODES

MODES = {**COMMON, **VENDOR_MODES}
QUESTIONS = 3
PROMPT = Prompt("query", "1", "You speak for a user.", "Ask for the call ls.")


class Query(BaseModel):
    """An answer."""

    query: str


def outcome(mode: Mode) -> dict[str, Any]:
    """The results of the questions to a server."""
    number = itertools.count(1)
    came, words, wrong = list[str](), list[str](), 0
    with ScriptedEndpoint(lambda request: mode.script(request, next(number))) as server:
        endpoint = Endpoint(EndpointConfig(url=server.url, model="m", timeout=10.0, parallel=2))
        for question in range(QUESTIONS):
            try:
                wrong += endpoint.ask(PROMPT, Query, str(question)).query != FINAL
                came.append(ANSWERED)
            except ModelError as error:
                came.append(str(error.cause))
                words.append(error.detail)
            except UserError as error:
                came, words = [*came, AT_ONCE], [*words, str(error)]
                break
        endpoint.close()
    if came == [ANSWERED] * QUESTIONS and any("again" in what for what in endpoint.counts):
        came = [AGAIN] * QUESTIONS
    as_expected = set(came) == {mode.expected} and all(mode.says in text for text in words)
    return {
        "expected": mode.expected,
        "came": sorted(set(came)),
        "words": sorted(set(words)),
        "requests": server.requests,
        "silently wrong": wrong,
        "as expected": as_expected and not wrong and server.requests <= mode.requests,
    }


def main() -> int:
    """Ask all servers, print, and write what came if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file for the outcomes")
    args = parser.parse_args()
    began = time.monotonic()
    found = {name: outcome(mode) for name, mode in MODES.items()}
    wrong = sum(each["silently wrong"] for each in found.values())
    others = [name for name, each in found.items() if not each["as expected"]]
    result = {
        "modes": len(found),
        "silently wrong": wrong,
        "other than expected": others,
        "seconds": round(time.monotonic() - began, 1),
        "outcomes": found,
    }
    if args.out:
        args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for name, each in found.items():
        mark = "ok " if each["as expected"] else "BAD"
        print(f"{mark} {name:<26}{', '.join(each['came'])}  ({each['requests']} requests)")
    print(f"{wrong} silently wrong, {len(others)} other than expected, of {len(found)}")
    return 1 if wrong or others else 0


if __name__ == "__main__":
    sys.exit(main())
