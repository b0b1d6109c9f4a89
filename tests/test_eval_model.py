"""`rods eval --model`: a model of `transformers` in this process."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from commandline import refused
from rods.evaluation.episodes import read_rows
from tiny_chat_model import save_tiny_model

OWN = ("--env", "examples.clinic.tools:Clinic", "--tasks", "examples/clinic/tasks.yaml")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_tiny_model(folder)
    return folder


def rows(out: Path) -> list[dict[str, Any]]:
    kept = read_rows(out / "episodes.jsonl", messages=True)
    return [row.model_dump(exclude={"seconds"}) for row in sorted(kept, key=lambda r: r.key)]


@pytest.mark.parametrize("temperature", [0, 1])
def test_a_model_in_this_process_and_its_continuation(
    rods, model: Path, tmp_path: Path, temperature: int
) -> None:
    asked = ("eval", "--model", model, *OWN, "--tool-docs", "short", "--max-tokens", 12)
    asked = (*asked, "--concurrency", 2, "--limit", 5, "--temperature", temperature)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = rods(*asked, "--out", whole, "--json")
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    found, agent = summary["results"]["overall"], summary["identity"]["agent"]
    assert found["episodes"] == 5 and found["tokens_out"] > 0 and found["complete"]["mean"] == 0
    weights = (model / "model.safetensors").read_bytes()
    assert agent["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert (agent["kind"], agent["family"], agent["dialect"]) == ("model", "qwen2_5", "native")
    killed.mkdir()
    for file in ("evaluation.json", "episodes.jsonl"):
        (killed / file).write_bytes((whole / file).read_bytes())
    kept = (killed / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (killed / "episodes.jsonl").write_bytes(b"".join([*kept[:3], kept[3][:100]]))
    assert rods(*asked, "--out", killed).code == 0
    assert rows(killed) == rows(whole)
    assert (killed / "episodes.jsonl").read_bytes().splitlines()[:3] == [
        k.strip() for k in kept[:3]
    ]


def test_a_prompt_that_does_not_fit_is_named_and_not_cut(rods, model: Path, tmp_path: Path) -> None:
    done = rods(
        *("eval", "--model", model, *OWN, "--limit", 2, "--context", 500, "--out", tmp_path / "out")
    )
    assert done.code == 0
    for row in rows(tmp_path / "out"):
        assert row["ending"] == "token budget" and row["tokens_out"] == 0
        assert "tokens and the context 500" in row["failure"]
    assert "The context was too small for 2 tasks" in done.out


def test_models_that_cannot_be_used(rods, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(rods("eval", "--model", tmp_path, *OWN, "--out", out), str(tmp_path))
    for option in (("--weights", model), ("--timeout", 5), ("--top-p", 0.5)):
        refused(rods("eval", "--model", model, *OWN, *option, "--out", out), option[0])
    template = tmp_path / "plain.jinja"
    template.write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    refused(rods("eval", "--model", model, *OWN, "--template", template, "--out", out), "template")
    assert not out.exists()
