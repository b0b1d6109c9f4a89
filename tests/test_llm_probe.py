"""`rods synth --probe`: which stages a model should do, measured on models that are known."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from commandline import refused
from competent import competent, role_of
from rods.synthesis.augment import base_form
from rods.synthesis.inputs import own_inputs
from rods.synthesis.llm.tool_text import call_line
from scripted_endpoint import Reply, ScriptedEndpoint, refusal

SPEC, TASKS = "examples.clinic.tools:Clinic", "examples/clinic/tasks.yaml"
OWN = ("--env", SPEC, "--tasks", TASKS)


@cache
def spoken() -> set[tuple[str, tuple[str, ...]]]:
    """The words of each turn that people wrote, with its calls."""
    tasks = [base_form(task)[0] for task in own_inputs(SPEC, Path(TASKS)).tasks]
    turns = [turn for task in tasks for turn in task.turns]
    return {(turn.user, tuple(map(call_line, turn.ground_truth))) for turn in turns}


def knowing(request: dict[str, Any]) -> Reply:
    """A model that knows which words belong to which calls."""
    system, *_, user = (message["content"] for message in request["messages"])
    role, answer = role_of(system), competent(system, user, random.Random(1))
    if role == "verify":
        found = re.findall(r"^QUERY: (.*)$", user, re.M)[0], calls(user, "CALL")
        answer = {"verdict": "yes" if found in spoken() else "another value is meant"}
    elif role == "judge":
        right = all(turn in spoken() for turn in judged(user))
        answer = {"decision": "accept" if right else "reject", "fail_reason": ""}
    return Reply(json.dumps(answer))


def calls(user: str, label: str) -> tuple[str, ...]:
    return tuple(re.findall(rf"^{label}: (.*)$", user, re.M))


def judged(user: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for number, words in re.findall(r"^TURN (\d+), WORDS: (.*)$", user, re.M):
        yield words, calls(user, f"TURN {number}, CALL")


def yes(request: dict[str, Any]) -> Reply:
    """A model that writes well and finds everything right."""
    system, *_, user = (message["content"] for message in request["messages"])
    if role_of(system) == "judge":
        return Reply('{"decision": "accept", "fail_reason": ""}')
    return Reply(json.dumps(competent(system, user, random.Random(1))))


def parrot(request: dict[str, Any]) -> Reply:
    """A model that repeats the example."""
    return Reply(request["messages"][2]["content"])


def probed(rods: Any, script: Any, *more: object) -> dict[str, Any]:
    with ScriptedEndpoint(script) as server:
        done = rods("synth", "--probe", "--url", server.url, "--model", "m", *OWN, *more, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    assert server.requests >= 44  # more if a connection is lost and a question asked again
    assert sum(row["asked"] for row in found["roles"]) == 44
    return found


def test_a_model_that_knows_does_all_stages(rods: Any) -> None:
    found = probed(rods, knowing)
    assert found["stages"] == ["plan", "execute", "ground", "judge"]
    assert found["options"] == []
    judging = [row for row in found["roles"] if row["role"] in ("verify", "judge")]
    assert [(row["passed"], row["asked"]) for row in judging] == [(4, 4)] * 4


def test_a_model_that_finds_everything_right_does_not_judge(rods: Any) -> None:
    found = probed(rods, yes)
    assert found["stages"] == ["plan", "execute", "ground"]
    assert found["options"] == ["--no-verify"]
    refusing = {row["what"]: row["passed"] for row in found["roles"] if "refused" in row["what"]}
    assert refusing == {
        "planted wrong words that are refused": 0,
        "planted faults that are refused": 0,
    }


def test_a_model_that_repeats_the_example_does_no_stage(rods: Any) -> None:
    found = probed(rods, parrot)
    assert found["stages"] == []
    causes = {
        row["role"]: set(row["failures"]) for row in found["roles"] if row["role"] != "verify"
    }
    copies = "copies the example"
    assert causes == {
        "plan": {f"no_pattern: {copies}"},
        "arguments": {f"param_gen_failed: {copies}"},
        "query": {f"query_gen_failed: {copies}"},
        "rewrite": {f"conversation_construct_failed: {copies}"},
        "judge": {f"model_failed: judge: {copies}"},
    }


def test_the_same_seed_asks_the_same_questions(rods: Any) -> None:
    asked: list[str] = []

    def script(request: dict[str, Any]) -> Reply:
        asked.append(json.dumps(request["messages"]))
        return yes(request)

    runs = []
    for seed in (3, 3, 4):
        asked.clear()
        probed(rods, script, "--seed", seed)
        runs.append(set(asked))
    assert runs[0] == runs[1] != runs[2]


def test_the_table_ends_with_the_command(rods: Any) -> None:
    with ScriptedEndpoint(yes) as server:
        done = rods("synth", "--probe", "--url", server.url, "--model", "m", *OWN)
    assert done.out.splitlines()[-1] == (
        "rods synth --backend llm --stage plan --stage execute --stage ground --no-verify"
    )
    assert "4 said 'yes'" in done.out and "too few" in done.out


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--model", "m"), "name the endpoint's url"),
        (("--url", "http://127.0.0.1:9/v1", "--model", "m"), "no connection"),
        (("--url", "http://127.0.0.1:9/v1", "--model", "m", "--count", 1), "leave out --count"),
        (("--url", "http://127.0.0.1:9/v1", "--model", "m", "--out", "x"), "leave out --count"),
        (("--endpoint", "missing.yaml"), "missing.yaml: cannot be read"),
        (("--url", "http://x/v1", "--model", "m", "--env", "no.such:Thing"), "no.such"),
    ],
)
def test_what_cannot_be_tested_is_named(rods: Any, options: tuple[object, ...], named: str) -> None:
    refused(rods("synth", "--probe", *OWN, *options), named)


def test_a_wrong_key_ends_the_test_at_once(rods: Any) -> None:
    with ScriptedEndpoint(lambda request: refusal(401, "bad key")) as server:
        done = rods("synth", "--probe", "--url", server.url, "--model", "m", *OWN)
    refused(done, server.url, "set the variable")
    assert server.requests == 1
