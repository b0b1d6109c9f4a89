"""Models whose words are of no use: each is refused with its cause in the funnel, which adds up."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commandline import refused
from competent import competent, role_of
from scripted_endpoint import Reply, ScriptedEndpoint

OWN = ("--env", "examples.clinic.tools:Clinic", "--tasks", "examples/clinic/tasks.yaml")


class Bad:
    """Competent but for the words, which `speak` returns; it may use what the parent says."""

    def __init__(self, speak: Callable[[str, list[str]], Any]) -> None:
        self.speak, self.parent = speak, list[str]()

    def __call__(self, request: dict[str, Any]) -> Reply:
        system, *_, user = (message["content"] for message in request["messages"])
        role = role_of(system)
        if role == "plan":
            part = user.split("ITS FUNCTIONS")[0]
            self.parent = re.findall(r"^turn \d+: (.*)$", part, re.M)
        if role in ("query", "add"):
            said = self.speak(user, self.parent)
            return said if isinstance(said, Reply) else Reply(json.dumps({"query": said}))
        return Reply(json.dumps(competent(system, user, random.Random(user))))


def call(user: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(re.findall(r"^CALL: (.*)$", user, re.M)[0])
    return found


def as_code(user: str, parent: list[str]) -> str:
    made = call(user)
    return f"{made['name']}({', '.join(f'{k}={v!r}' for k, v in made['arguments'].items())})"


def same_turn(user: str, parent: list[str]) -> str:
    return parent[min(user.count("SAID BEFORE"), len(parent) - 1)]


def german(user: str, parent: list[str]) -> str:
    values = ", ".join(map(str, call(user)["arguments"].values()))
    return f"Kannst du das bitte für mich erledigen und mir danach Bescheid sagen: {values}"


@pytest.mark.parametrize(
    ("speak", "causes"),
    [
        (lambda user, parent: "Please give Quillo 3 drops.", {"copies the example"}),
        (german, {"another language"}),
        (
            same_turn,
            {
                "the parent's words",
                "a value is missing",
                "another tool",
                "a value of no call",
                "a call is not asked for",
                "said before",
            },
        ),
        (as_code, {"code in the words"}),
        (lambda user, parent: "Could you do that for me now?", {"a value is missing"}),
        (lambda user, parent: Reply('{"query": "Could you', finish="length"), {"cut off"}),
    ],
    ids=["parrot", "another language", "copy", "code", "dropped value", "cut off"],
)
def test_words_of_no_use_are_refused_with_their_cause(
    rods: Any, tmp_path: Path, speak: Any, causes: set[str]
) -> None:
    with ScriptedEndpoint(Bad(speak)) as server:
        settings = {"url": server.url, "model": "m", "parallel": 1}
        (tmp_path / "endpoint.yaml").write_text(json.dumps(settings))
        named = ("--backend", "llm", "--endpoint", tmp_path / "endpoint.yaml", "--patience", 6)
        done = rods("synth", "--count", 1, "--out", tmp_path / "made.jsonl", *named, *OWN)
    refused(done, "made.jsonl: only 0 of 1 tasks")
    last = json.loads((tmp_path / "made.jsonl.part").read_text().splitlines()[-1])
    funnel = {cause: n for cause, n in last["funnel"].items() if n}
    assert sum(n for cause, n in funnel.items() if cause != "tried") == funnel["tried"]
    words = {cause for cause in funnel if cause.startswith("query")}
    assert words and words <= {f"query_gen_failed: {cause}" for cause in causes}
    assert f"query_gen_failed: {sorted(causes)[-1]}" in words
