"""`rods synth --backend llm` against an HTTP endpoint that fails, lies and repeats itself."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

import pytest

from commandline import Done, refused
from hostile import OWNED, Hostile
from rods.files.tasks import read_tasks
from rods.synthesis.critique import verify_tasks
from scripted_endpoint import Reply, ScriptedEndpoint
from test_collector import world

KEY = "sk-this-must-never-be-written"
COUNT = 6


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def settings(folder: Path, url: str, **more: object) -> Path:
    path = folder / "endpoint.yaml"
    data = {"url": url, "model": "scripted", "timeout": 0.5, "parallel": 4, "retries": 2, **more}
    path.write_text(json.dumps(data))  # JSON is YAML
    return path


def synth(
    rods, folder: Path, url: str, *more: object, count: int = COUNT, **config: object
) -> Done:
    made = folder / "made.jsonl"
    file = settings(folder, url, **config)
    common = ("synth", "--out", made, "--seed", 3, "--backend", "llm", "--endpoint", file)
    return rods(*common, "--count", count, *more, "--json")


@pytest.mark.slow
def test_nothing_unverified_gets_through_a_hostile_endpoint(rods, tmp_path: Path) -> None:
    script = Hostile(seed=1, faults=0.06, lies=0.06)
    with ScriptedEndpoint(script) as server:
        done = synth(rods, tmp_path, server.url)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    made = read_tasks(tmp_path / "made.jsonl")
    assert len(made) == COUNT == told["tasks"]
    assert set(dict(verify_tasks(made, world())).values()) == {""}
    assert all(task.origin == "llm" and task.lineage["model"] == "scripted" for task in made)
    assert sum(script.done.values()) - script.done["competent"] > 20
    assert any(cause.startswith("model_failed: ") for cause in told["funnel"])
    assert told["stages"]["planned"] >= told["stages"]["executed"] >= told["stages"]["grounded"]
    assert told["stages"]["grounded"] >= told["stages"]["judged"] >= COUNT
    assert {"plan", "arguments", "judge"} <= told["model"]["usage"].keys()
    assert not Path(OWNED).exists()
    written = "".join(p.read_text() for p in tmp_path.iterdir()) + done.out + done.err
    assert KEY not in written


@pytest.mark.slow
def test_a_recorded_run_is_repeated_without_the_model(rods, tmp_path: Path) -> None:
    with ScriptedEndpoint(Hostile(seed=2, faults=0.03, lies=0.03)) as server:
        assert synth(rods, tmp_path, server.url, count=2, parallel=2).code == 0
    first = (tmp_path / "made.jsonl").read_bytes()
    (tmp_path / "made.jsonl").unlink()
    done = synth(rods, tmp_path, server.url, "--replay", count=2, parallel=2)
    assert done.code == 0  # nobody listens there now
    assert (tmp_path / "made.jsonl").read_bytes() == first


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_can_be_repeated_as_a_whole(rods, tmp_path: Path) -> None:
    hostile, asked = Hostile(seed=6, faults=0, lies=0.02), itertools.count()

    def dying(request: dict) -> Reply:
        return hostile(request) if next(asked) < 150 else Reply(close_at=0)

    with ScriptedEndpoint(dying) as server:
        refused(synth(rods, tmp_path, server.url, retries=1), "model_failed: plan: down")
    assert (tmp_path / "made.jsonl.part").exists()
    with ScriptedEndpoint(hostile) as server:
        assert synth(rods, tmp_path, server.url).code == 0
    whole = (tmp_path / "made.jsonl").read_bytes()
    assert len(read_tasks(tmp_path / "made.jsonl")) == COUNT
    (tmp_path / "made.jsonl").unlink()
    assert synth(rods, tmp_path, server.url, "--replay", "--patience", 900).code == 0
    assert (tmp_path / "made.jsonl").read_bytes() == whole


@pytest.mark.parametrize("threads", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_an_endpoint_that_is_down_ends_the_run_with_its_cause(
    rods, tmp_path: Path, threads: int
) -> None:
    order = (rods, tmp_path, "http://127.0.0.1:9/v1", "--patience", 12)
    done = synth(*order, parallel=threads, retries=1)
    refused(done, "http://127.0.0.1:9/v1: no connection", "start the server there")
    assert not (tmp_path / "made.jsonl").exists()


def test_model_stages_alone(rods, tmp_path: Path) -> None:
    with ScriptedEndpoint(Hostile(seed=3, faults=0, lies=0)) as server:
        file = settings(tmp_path, "http://127.0.0.1:9/v1", model="another", parallel=1)
        order = ("synth", "--count", 1, "--out", tmp_path / "made.jsonl", "--backend", "llm")
        named = ("--endpoint", file, "--url", server.url, "--model", "scripted")
        done = rods(*order, *named, "--stage", "ground", "--no-rewrite", "--json")
    assert json.loads(done.out)["model"]["usage"].keys() <= {"query", "verify", "add"}
    turns = json.loads(done.out)["model"]["turns"]
    assert turns["1"] > 0 and turns.keys() <= {"1", "2", "3", "4", "none"}


@pytest.mark.slow
def test_an_endpoint_without_schemas_is_asked_in_tags(rods, tmp_path: Path) -> None:
    hostile, seen = Hostile(seed=4, faults=0, lies=0), threading.Event()

    def script(request: dict) -> Reply:
        if "response_format" in request:
            seen.set()
            return Reply(status=400, body=b'{"error": {"message": "response_format: unknown"}}')
        return hostile(request)

    with ScriptedEndpoint(script) as server:
        assert synth(rods, tmp_path, server.url, count=1, parallel=1).code == 0
    assert seen.is_set()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--backend", "oracle"), "--backend oracle: choose one of program, llm"),
        (("--backend", "llm"), "name the endpoint's url"),
        (("--backend", "llm", "--url", "http://x/v1"), "name the endpoint's model"),
        (("--backend", "llm", "--url", "x", "--model", "m"), "url: write it as http://"),
        (("--url", "http://x/v1"), "--url: goes with --backend llm"),
        (("--backend", "llm", "--url", "http://x/v1", "--model", "m", "--stage", "cook"), "cook"),
        (("--backend", "llm", "--endpoint", "missing.yaml"), "missing.yaml: cannot be read"),
    ],
)
def test_bad_orders_are_refused(rods, tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    refused(rods("synth", "--count", 1, "--out", tmp_path / "made.jsonl", *options), told)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"url: http://x/v1\nmodel: m\nurl: http://y/v1\n", "line 3: the key 'url' appears twice"),
        (b"url: http://x/v1\nmodel: m\nmax_tokens: 1:30\n", "max_tokens"),
        (b"url: http://x/v1\nmodel: m\ntimeout: .inf\n", "line 3: timeout: not a finite number"),
        (b"url: http://x/v1\nmodel: m\nretries: true\n", "retries: must be a number, not true"),
        (b"url: [\n", "not YAML"),
        (b"- url\n", "must be a mapping"),
        (b"", "must be a mapping"),
        ("url: http://x/v1".encode("utf-16"), "byte order mark of UTF-16"),
    ],
)
def test_a_bad_endpoint_file_is_named(rods, tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "endpoint.yaml"
    path.write_bytes(content)
    order = ("synth", "--count", 1, "--out", tmp_path / "made.jsonl", "--backend", "llm")
    refused(rods(*order, "--endpoint", path), str(path), told)
    assert [p.name for p in tmp_path.iterdir()] == ["endpoint.yaml"]


def test_own_tools_work_unchanged(rods, tmp_path: Path) -> None:
    own = ("--env", "examples.clinic.tools:Clinic", "--tasks", "examples/clinic/tasks.yaml")
    with ScriptedEndpoint(Hostile(seed=5, faults=0.05, lies=0.05)) as server:
        done = synth(rods, tmp_path, server.url, *own, count=2)
    assert done.code == 0, done.err
    assert {task.environment for task in read_tasks(tmp_path / "made.jsonl")} == {own[1]}
