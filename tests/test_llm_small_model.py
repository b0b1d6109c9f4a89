"""The whole backend against a real model behind a real server. It is too small to write tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from rods.files.tasks import read_tasks
from rods.synthesis import pipeline, settings
from rods.synthesis.critique import verify_tasks
from rods.synthesis.inputs import own_inputs
from rods.synthesis.llm.endpoint import Endpoint, EndpointConfig, ModelError
from rods.synthesis.llm.forms import Judgement, Verdict
from rods.synthesis.llm.prompts import render
from small_model import served

pytestmark = pytest.mark.slow
OWN = ("--env", "examples.clinic.tools:Clinic", "--tasks", "examples/clinic/tasks.yaml")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(slots=1) as url:
        yield url


def test_a_schema_binds_the_model(url: str) -> None:
    config = EndpointConfig(url=url, model="x", structured="schema", max_tokens=40)
    endpoint = Endpoint(config)
    shown = {"calls": ['{"name": "ls"}'], "before": [], "shown": []}
    prompt = render("verify", query="list the files", **shown)
    for number in range(2):
        try:
            assert endpoint.ask(prompt, Judgement, str(number)).verdict in get_args(Verdict)
        except ModelError as error:  # forty tokens may end before the verdict
            assert error.cause in ("cut off", "repeats")
    assert endpoint.usage["verify"].tokens_out > 5


@pytest.mark.parametrize("options", [(), ("--stage", "ground", "--no-rewrite")])
def test_every_answer_is_read_or_its_cause_counted(
    rods, tmp_path: Path, url: str, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MODEL_TRIES", 1)  # an answer takes seconds
    monkeypatch.setattr(pipeline, "ATTEMPTS", 1)
    out, endpoint = tmp_path / "made.jsonl", tmp_path / "endpoint.yaml"
    data = {"url": url, "model": "SmolLM2-135M", "structured": "tags", "max_tokens": 64}
    endpoint.write_text(json.dumps(data | {"parallel": 1, "timeout": 600}))
    backend = ("--backend", "llm", "--endpoint", endpoint, "--patience", 1, *OWN, *options)
    done = rods("synth", "--count", 1, "--out", out, *backend)
    calls = [json.loads(line) for line in (tmp_path / "made.jsonl.calls.jsonl").open()]
    assert calls[0]["role"] == ("query" if options else "plan")
    assert all(call["answer"] or call["cause"] for call in calls)
    assert any(call["tokens_out"] for call in calls)
    if done.code == 0:
        world = own_inputs(OWN[1], Path(OWN[3]))
        assert set(dict(verify_tasks(read_tasks(out), world)).values()) == {""}
    else:
        assert "most attempts ended in" in done.err
