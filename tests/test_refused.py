"""Refused tasks are kept with their reasons on demand, and prompts in the journal."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from commandline import refused
from competent import competent, role_of
from hostile import Hostile
from rods.synthesis.batches import in_threads
from rods.synthesis.collector import Collector
from rods.synthesis.inputs import own_inputs
from rods.synthesis.settings import SynthSettings
from rods.task import Task
from scripted_endpoint import Reply, ScriptedEndpoint

SPEC, TASKS = "examples.clinic.tools:Clinic", "examples/clinic/tasks.yaml"
OWN = ("--env", SPEC, "--tasks", TASKS)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_refused_tasks_add_up_with_the_funnel(rods: Any, tmp_path: Path) -> None:
    out = tmp_path / "made.jsonl"
    done = rods("synth", "--count", 12, "--out", out, "--keep-refused", "--workers", 1, "--json")
    assert done.code == 0, done.err
    found = rows(tmp_path / "made.jsonl.refused.jsonl")
    funnel = json.loads(done.out)["funnel"]
    by_gate = {cause: n for cause, n in funnel.items() if ": " in cause and n}
    assert Counter(row["refused"] for row in found) == by_gate != {}
    assert all(Task.model_validate(row["task"]).parent for row in found)
    assert sum(n for cause, n in funnel.items() if cause != "tried") == funnel["tried"]


def test_no_file_without_the_option(rods: Any, tmp_path: Path) -> None:
    done = rods("synth", "--count", 2, "--out", tmp_path / "made.jsonl", "--workers", 1)
    assert done.code == 0
    assert not (tmp_path / "made.jsonl.refused.jsonl").exists()
    more = ("--count", 2, "--out", "/dev/null", "--keep-refused")
    refused(rods("synth", *more), "--keep-refused: writes a file next to --out")


def test_an_interrupted_run_keeps_them_as_a_whole_one_does(tmp_path: Path) -> None:
    settings = SynthSettings(SPEC, Path(TASKS), keep_refused=True)

    def run(out: Path, batches: int = 1000) -> None:
        collector = Collector(out, {"seed": 1}, keep_refused=True)
        runner = settings.runner(own_inputs(SPEC, Path(TASKS)))
        made = collector.run(30, in_threads(runner, 1))
        for _, _ in zip(range(batches), made, strict=False):
            pass
        made.close()

    run(tmp_path / "whole.jsonl")
    for _ in range(2):
        run(tmp_path / "broken.jsonl", 1)
    run(tmp_path / "broken.jsonl")
    whole, broken = (tmp_path / f"{name}.jsonl.refused.jsonl" for name in ("whole", "broken"))
    assert whole.read_bytes() == broken.read_bytes() != b""


def synth(rods: Any, folder: Path, script: Any, *more: object, **config: Any) -> Any:
    """`rods synth` of the clinic with the words by a model."""
    with ScriptedEndpoint(script) as server:
        settings = {"url": server.url, "model": "m", "parallel": 1, **config}
        (folder / "endpoint.yaml").write_text(json.dumps(settings))
        named = ("--backend", "llm", "--endpoint", folder / "endpoint.yaml", *OWN)
        return rods("synth", "--out", folder / "made.jsonl", *named, *more, "--json")


def test_what_the_judge_finds_is_kept(rods: Any, tmp_path: Path) -> None:
    def script(request: dict[str, Any]) -> Reply:
        if role_of(request["messages"][0]["content"]) == "judge":
            return Reply('{"decision": "reject", "fail_reason": "turn 1 sounds like a machine"}')
        return Hostile(0, 0, 0)(request)

    stages = ("--stage", "judge", "--keep-refused", "--patience", 8)
    done = synth(rods, tmp_path, script, "--count", 1, *stages)
    refused(done, "critique: the judge rejects")
    part = [row for row in rows(tmp_path / "made.jsonl.part") if "refused" in row]
    judged = [row for row in part if row["refused"].startswith("critique: the judge rejects")]
    assert judged
    assert all("turn 1 sounds like a machine" in row["detail"] for row in judged)


def test_the_journal_can_hold_prompts(rods: Any, tmp_path: Path) -> None:
    def script(request: dict[str, Any]) -> Reply:
        system, *_, user = (message["content"] for message in request["messages"])
        return Reply(json.dumps(competent(system, user, random.Random(user))))

    words = ("--stage", "ground", "--no-rewrite")
    for journal_prompts in (False, True):
        folder = tmp_path / str(journal_prompts)
        folder.mkdir()
        done = synth(rods, folder, script, "--count", 2, *words, journal_prompts=journal_prompts)
        assert done.code == 0, done.err
        found = rows(folder / "made.jsonl.calls.jsonl")
        query = next(row for row in found if row["role"] == "query")
        assert ("You write what a person says" in (query.get("system") or "")) is journal_prompts
        assert ("CALL: {" in (query.get("user") or "")) is journal_prompts
        again = synth(rods, folder, script, "--count", 2, *words, "--replay")
        assert again.code == 0, again.err
