"""The whole backend against a real model behind a real server. It is too small to write tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_model import served
from test_factory import world

from rods.files import read_tasks
from rods.verify import verify_tasks


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as url:
        yield url


def settings(folder: Path, url: str, structured: str) -> str:
    path = folder / "endpoint.yaml"
    data = {"url": url, "model": "SmolLM2-135M", "structured": structured, "max_tokens": 96}
    path.write_text(json.dumps(data | {"parallel": 2, "timeout": 60}))
    return str(path)


@pytest.mark.parametrize("structured", ["schema", "tags"])
def test_every_answer_is_read_or_its_cause_counted(
    rods, tmp_path: Path, url: str, structured: str
) -> None:
    """By program, but for the words: what this model manages now and then."""
    out = tmp_path / "made.jsonl"
    options = ("--backend", "llm", "--stage", "ground", "--no-rewrite", "--patience", 4)
    endpoint = ("--endpoint", settings(tmp_path, url, structured))
    done = rods("synth", "--count", 2, "--out", out, *options, *endpoint, "--json")
    calls = [json.loads(line) for line in (tmp_path / "made.jsonl.calls.jsonl").open()]
    assert {call["role"] for call in calls} <= {"query", "verify", "omit"}
    assert all(call["answer"] or call["cause"] for call in calls)
    assert any(call["tokens_out"] for call in calls)
    if done.code == 0:
        assert set(dict(verify_tasks(read_tasks(out), world())).values()) == {""}
    else:
        assert "of 2 tasks could be made" in done.err


def test_all_stages_ask_the_model(rods, tmp_path: Path, url: str) -> None:
    out = tmp_path / "made.jsonl"
    endpoint = ("--endpoint", settings(tmp_path, url, "auto"))
    own = ("--env", "examples.clinic.tools:Clinic", "--tasks", "examples/clinic/tasks.yaml")
    options = ("--backend", "llm", "--patience", 1, *own)
    done = rods("synth", "--count", 1, "--out", out, *options, *endpoint)
    calls = [json.loads(line) for line in (tmp_path / "made.jsonl.calls.jsonl").open()]
    assert calls[0]["role"] == "plan"
    assert done.code == 0 or "most attempts ended in" in done.err
