"""`rods eval` against scripted servers: the table, what is kept, and how it continues."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

import eval_official
from commandline import refused
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks
from rods.evaluation.endpoint import PROBE_TOKENS
from rods.evaluation.episodes import read_rows
from rods.evaluation.selection import select
from scripted_agent import STEPS, Perfect, said, silent
from scripted_endpoint import Reply, ScriptedEndpoint, refusal
from tiny_chat_model import save_tiny_model

ROOT = Path(__file__).parents[1]
OWN = ("--env", "examples.clinic.tools:Clinic", "--tasks", "examples/clinic/tasks.yaml")
URL = "http://127.0.0.1:8000/v1"  # in the documentation
LIMIT = 24
TASKS = select("bfcl", None, "test", (), LIMIT).tasks
DRAWN = ("--temperature", 1)  # so that requests have random seeds, by which tasks are recognised
Answer = Callable[[dict[str, Any]], Reply]


def options(url: str, out: Path, *more: object) -> tuple[object, ...]:
    return ("eval", "--endpoint", url, "--model", "m", "--out", out, *more)


def evaluated(rods: Any, script: Answer, out: Path, *more: object) -> dict[str, Any]:
    """The results of a finished evaluation by category."""
    with ScriptedEndpoint(script) as server:
        done = rods(*options(server.url, out, "--json", *more))
    assert done.code == 0, done.err
    return json.loads(done.out)["results"]


def probed(script: Answer) -> Answer:
    """The script, for a server that is first asked a short question."""
    return lambda request: (
        silent(request) if request["max_tokens"] == PROBE_TOKENS else script(request)
    )


def rows(out: Path) -> list[dict[str, Any]]:
    """Episodes by task and run, without their times."""
    kept = read_rows(out / "episodes.jsonl", messages=True)
    return [row.model_dump(exclude={"seconds"}) for row in sorted(kept, key=lambda r: r.key)]


def test_a_perfect_agent_completes_every_task(rods, tmp_path: Path) -> None:
    out = tmp_path / "perfect"
    results = evaluated(rods, probed(Perfect(TASKS)), out, "--limit", LIMIT, *DRAWN)
    assert list(results) == [*CATEGORIES, "overall"]
    for name, found in results.items():
        assert found["complete"] == found["progress"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
        assert found["episodes"] == LIMIT // (1 if name == "overall" else 4)
        assert found["endings"] == {"answered": found["episodes"]} and not found["causes"]
        assert found["tokens_in"] > found["tokens_out"] > 0
    done = rods("score", out / "episodes.jsonl", "--json")
    scored = [json.loads(line) for line in done.out.splitlines()]
    assert [row["progress"] for row in scored] == [1.0] * LIMIT
    counts = eval_official.compare(out)
    assert counts["accepted by both"] == counts["judged"] == LIMIT
    summary = json.loads((out / "summary.json").read_text())
    assert summary["results"] == results and summary["episodes"] == summary["expected"] == LIMIT


def test_the_official_comparison_finds_a_wrong_verdict_and_evaluates_nothing(
    rods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    evaluated(rods, probed(Perfect(TASKS)), out, "--limit", 4, *DRAWN)
    file = out / "episodes.jsonl"
    right, *others = map(json.loads, file.read_text().splitlines())
    wrong = {**right, "complete": False, "verdicts": [{"state": False, "exec": True}] * 9}
    names = ("print(open('made', 'w')) or ls", "ls")
    calls = [{"name": n, "arguments": {"a=open('made', 'w'), b": 1}} for n in names]
    hostile = {**wrong, "turns": [calls, *right["turns"][1:]]}
    file.write_text("".join(f"{json.dumps(row)}\n" for row in (wrong, hostile, *others)))
    monkeypatch.chdir(tmp_path)
    counts = eval_official.compare(out)
    assert (counts["disagreements"], counts["judged"]) == (1, 5)
    assert not (tmp_path / "made").exists()


def test_a_turn_with_many_calls_can_be_answered_in_one_action(rods, tmp_path: Path) -> None:
    tasks = select("bfcl", None, "all", ("long_context",), None).tasks
    longest = max(tasks, key=lambda task: max(len(turn.ground_truth) for turn in task.turns))
    script, out = Perfect([longest]), tmp_path / "out"
    only = next(i for i, task in enumerate(tasks, 1) if task is longest)
    asked = ("--split", "all", "--category", "long_context", "--limit", only, *DRAWN)

    def one(request: dict[str, Any]) -> Reply:
        known = request["seed"] // STEPS in script.tasks
        return script(request) if known else silent(request)

    evaluated(rods, probed(one), out, *asked)
    found = next(row for row in rows(out) if row["task"] == longest.label)
    assert found["complete"] and max(map(len, found["turns"])) > 30


def test_a_silent_agent_gets_its_turns_without_ground_truth(rods, tmp_path: Path) -> None:
    out = tmp_path / "silent"
    results = evaluated(rods, silent, out, "--limit", LIMIT)
    assert [results[c]["complete"]["mean"] for c in CATEGORIES] == [0.0] * 4
    for row in rows(out):
        turns = benchmark_tasks()[row["task"]].turns
        assert row["progress"] == sum(not turn.ground_truth for turn in turns) / len(turns)
        assert row["cause"] == "no call" and row["calls"] == 0
    means = [results[c]["progress"]["mean"] for c in CATEGORIES]
    assert means[0] == means[3] == 0.0 and 0.1 < means[1] < 0.5 and 0.1 < means[2] < 0.5
    assert results["overall"]["progress"]["mean"] == pytest.approx(sum(means) / 4)
    assert eval_official.compare(out)["refused by both"] == LIMIT


class Mixed:
    """Right, silent, in words, or with broken arguments, as the seed of the task decides."""

    def __init__(self, delay: float = 0.0) -> None:
        self.perfect, self.delay = Perfect(TASKS, runs=2), delay

    def __call__(self, request: dict[str, Any]) -> Reply:
        kind = request["seed"] // 64 % 4
        if kind == 0:
            return said(request, "Done.", delay=self.delay)
        if kind == 1 and len(request["messages"]) > 4:
            return said(request, '<tool_call>{"name": "ls", "argu', delay=self.delay)
        calls = self.perfect.calls(request)
        return said(request, "" if calls else "Done.", calls, delay=self.delay)


@pytest.mark.slow
def test_a_killed_evaluation_continues_to_the_same_episodes(rods, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    asked = ("--limit", LIMIT, "--runs", 2, *DRAWN)
    with ScriptedEndpoint(probed(Mixed(0.02))) as server:
        assert rods(*options(server.url, whole, *asked)).code == 0
        command = [sys.executable, "-m", "rods", *map(str, options(server.url, killed, *asked))]
        for more in (3, 9):
            process = subprocess.Popen(command, stderr=subprocess.PIPE)
            file = killed / "episodes.jsonl"
            until = time.monotonic() + 60
            while not file.exists() or file.read_bytes().count(b"\n") < more:
                assert time.monotonic() < until and process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.communicate()
            with file.open("ab") as torn:
                torn.write(b'{"task": "multi_turn_ba')
        before = rows(killed)
        assert 9 <= len(before) < 2 * LIMIT
        asked_before = server.requests
        assert rods(*options(server.url, killed, *asked)).code == 0
        assert server.requests - asked_before < asked_before
    assert rows(killed) == rows(whole)
    causes = {row["cause"] for row in rows(whole)}
    assert {"", "no call", "format failures"} <= causes


def test_an_interrupted_evaluation_says_how_to_continue(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ScriptedEndpoint(probed(Mixed(0.05))) as server:
        asked = options(server.url, out, "--limit", LIMIT, "--runs", 2, *DRAWN)
        process = subprocess.Popen(
            [sys.executable, "-m", "rods", *map(str, asked)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        file, until = out / "episodes.jsonl", time.monotonic() + 60
        while not file.exists() or not file.read_bytes().count(b"\n"):
            assert time.monotonic() < until and process.poll() is None
        process.send_signal(signal.SIGINT)
        shown, said_last = process.communicate(timeout=60)
    assert process.returncode == 130
    kept = len(rows(out))
    last = said_last.splitlines()[-1]
    assert f"interrupted; {kept} of {2 * LIMIT} episodes are kept. Continue with: rods eval" in last
    assert "Not finished" in shown


def test_another_evaluation_in_the_folder_is_refused(rods, tmp_path: Path) -> None:
    with ScriptedEndpoint(silent) as server:
        first = options(server.url, tmp_path / "out", "--limit", 2)
        assert rods(*first).code == 0
        assert rods(*first).code == 0  # there is nothing left to play
        asked = server.requests
        for more, named in (
            (("--tool-docs", "short"), "agent.tool_docs is 'full' in it and 'short' here"),
            (("--runs", 2), "runs is 1 in it and 2 here"),
            (("--split", "train"), "tasks.split is 'test' in it and 'train' here"),
            (("--temperature", 0.5), "decoding.temperature is 0.0 in it and 0.5 here"),
        ):
            refused(rods(*first, *more), "holds another evaluation", named)
        assert server.requests == asked
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "notes.txt").write_text("mine")
        refused(rods(*options(server.url, tmp_path / "other")), "holds something else")
        (tmp_path / "file").write_text("mine")
        refused(rods(*options(server.url, tmp_path / "file")), "file", "cannot be written")
        refused(rods(*options(server.url, tmp_path / "file" / "in")), "cannot be written")


def test_a_server_that_dies_in_the_middle(rods, tmp_path: Path) -> None:
    """What is done is kept, and the same command continues."""
    out, requests, alive = tmp_path / "out", count(), [False]
    perfect = probed(Perfect(TASKS))

    def dying(request: dict[str, Any]) -> Reply:
        if alive[0] or next(requests) < 30:
            return perfect(request)
        return Reply(close_at=0)

    with ScriptedEndpoint(dying) as server:
        config = tmp_path / "endpoint.yaml"
        config.write_text(json.dumps({"url": server.url, "model": "m", "retries": 1}))
        asked = ("eval", "--endpoint", config, "--out", out, "--limit", LIMIT, *DRAWN)
        done = rods(*asked, "--concurrency", 4)
        assert done.code == 2
        kept = len(rows(out))
        assert 0 < kept < LIMIT
        assert f"{kept} of {LIMIT} episodes are kept. Continue with: rods eval" in done.err
        assert "3 episodes in a row were not answered: down" in done.err
        alive[0] = True
        done = rods(*asked, "--json")
    assert done.code == 0
    assert json.loads(done.out)["results"]["overall"]["complete"]["mean"] == 1.0
    assert len(rows(out)) == LIMIT


def test_a_refused_request_leaves_only_its_episode_open(rods, tmp_path: Path) -> None:
    perfect, bad = Perfect(TASKS), TASKS[5]

    def picky(request: dict[str, Any]) -> Reply:
        if perfect.task(request) is bad:
            return refusal(400, "the template fails on this message")
        return perfect(request)

    with ScriptedEndpoint(probed(picky)) as server:
        done = rods(*options(server.url, tmp_path / "out", "--limit", LIMIT, *DRAWN))
    assert done.code == 2 and len(rows(tmp_path / "out")) == LIMIT - 1
    assert f"1 episodes were not answered; the first, {bad.label}: refused" in done.err
    assert "the template fails on this message" in done.err


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 4200 tokens",
        "the request exceeds the available context size. try increasing the context size",
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 and 1024",
    ],
)
def test_a_context_that_is_too_small_is_named(rods, tmp_path: Path, words: str) -> None:
    perfect = Perfect(TASKS)

    def small(request: dict[str, Any]) -> Reply:
        if any(message["role"] == "tool" for message in request["messages"]):
            return refusal(400, words)
        return perfect(request)

    with ScriptedEndpoint(probed(small)) as server:
        done = rods(*options(server.url, tmp_path / "out", "--limit", 4, *DRAWN))
    assert done.code == 0, done.err
    for row in rows(tmp_path / "out"):
        assert row["ending"] == row["cause"] == "token budget"
        assert words[:40] in row["failure"] and not row["complete"]
    assert "The context was too small for 4 tasks" in done.out and TASKS[0].label in done.out


def test_a_context_by_option(rods, tmp_path: Path) -> None:
    """The server's own numbers are compared with it, and nothing is cut."""
    whole = evaluated(rods, probed(Perfect(TASKS)), tmp_path / "whole", "--limit", LIMIT, *DRAWN)[
        "overall"
    ]
    most = sorted(row["longest"] for row in rows(tmp_path / "whole"))[LIMIT // 2]
    asked = ("--limit", LIMIT, *DRAWN, "--context", most)
    found = evaluated(rods, probed(Perfect(TASKS)), tmp_path / "cut", *asked)["overall"]
    longest = {row["task"]: row["longest"] for row in rows(tmp_path / "whole")}
    ended = [row for row in rows(tmp_path / "cut") if row["ending"] == "token budget"]
    assert {row["task"] for row in ended} == {t for t, size in longest.items() if size > most}
    assert all(f"the context {most:,}" in row["failure"] for row in ended)
    assert found["out_of_tokens"] == sorted(row["task"] for row in ended)
    assert found["endings"]["token budget"] == len(ended) < whole["episodes"]
    done = rods("score", tmp_path / "cut" / "episodes.jsonl", "--json")
    scored = {row["task"]: row["progress"] for row in map(json.loads, done.out.splitlines())}
    assert scored == {row["task"]: row["progress"] for row in rows(tmp_path / "cut")}


def test_own_tools_and_the_score_of_their_episodes(rods, tmp_path: Path) -> None:
    own, chosen = OWN, select(OWN[1], Path(OWN[3]), None, (), None)
    script = probed(Perfect(chosen.tasks))
    results = evaluated(rods, script, tmp_path / "out", *own, *DRAWN)
    assert results["overall"]["complete"]["mean"] == 1.0
    assert results["overall"]["tasks"] == len(chosen.tasks)
    done = rods("score", tmp_path / "out" / "episodes.jsonl", *own)
    assert f"{len(chosen.tasks)} complete" in done.out
    for more, named in (
        (("--env", own[1]), "name its tasks by --tasks"),
        ((*own, "--split", "test"), "--split test: goes with bfcl"),
        (own[2:], "tools of your own are named by --env"),
        (("--category", "none"), "--category none: choose one of base"),
        (("--split", "dev"), "--split dev: choose one of test, train, all"),
    ):
        refused(rods(*options("http://127.0.0.1:1/v1", tmp_path / "no", *more)), named)
    assert not (tmp_path / "no").exists()


def test_a_sample_mixes_the_categories_and_the_classes() -> None:
    for side, size in (("test", 400), ("train", 400), ("all", 800)):
        tasks = select("bfcl", None, side, (), None).tasks
        assert len({task.id for task in tasks}) == len(tasks) == size
        for limit in (20, 40):
            part = select("bfcl", None, side, (), limit).tasks
            assert part == tasks[:limit]
            found = [task.category for task in part]
            assert {found.count(category) for category in CATEGORIES} == {limit // 4}
        assert len({owner for task in tasks[:20] for owner in task.classes}) >= 6


def test_endpoints_that_are_unusable(rods, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "out"
    for script, *named in (
        (lambda request: refusal(404, "no model named m"), "no model named m", "model's name"),
        (lambda request: refusal(401, "no key"), "OPENAI_API_KEY"),
        (lambda request: Reply(body=b"<html></html>"), "not a chat answer"),
    ):
        with ScriptedEndpoint(script) as server:
            refused(rods(*options(server.url, out, "--limit", 8)), *named)
    refused(rods(*options("http://127.0.0.1:1/v1", out)), "no connection")
    refused(rods("eval", "--endpoint", "http://a/v1", "--out", out), "--model")
    refused(rods("eval", "--endpoint", tmp_path / "no.yaml", "--out", out), "no such file")
    (tmp_path / "half.yaml").write_text("url: http://a/v1\n")
    refused(rods("eval", "--endpoint", tmp_path / "half.yaml", "--out", out), "half.yaml: name")
    refused(rods("eval", "--out", out), "--endpoint")
    refused(rods("eval", "--endpoint", "http://a/v1", "--model", "m"), "--out DIR")
    assert not out.exists()


def test_a_server_that_ignores_tools_is_found_at_once(rods, tmp_path: Path) -> None:
    """And the tools can be written into the prompt."""

    def ignoring(request: dict[str, Any]) -> Reply:
        return silent({**request, "tools": None})

    with ScriptedEndpoint(ignoring) as server:
        done = rods(*options(server.url, tmp_path / "out", "--limit", 4))
        refused(done, "with the tools and without them", "--dialect prompt")
        assert server.requests == 2
    prompted = Prompted(Perfect(TASKS))
    asked = ("--limit", LIMIT, *DRAWN, "--dialect", "prompt", "--examples", EXAMPLES)
    results = evaluated(rods, probed(prompted), tmp_path / "prompt", *asked)
    assert results["overall"]["complete"]["mean"] == 1.0


EXAMPLES = 2


class Prompted:
    """The perfect agent of a server that knows no tools: its calls are text."""

    def __init__(self, perfect: Perfect) -> None:
        self.perfect = perfect

    def __call__(self, request: dict[str, Any]) -> Reply:
        assert "tools" not in request
        chat = [message for message in request["messages"] if message["role"] != "system"]
        chat = chat[2 * EXAMPLES :]  # a request and an answer each
        called = [
            {**message, "role": "tool"} if "<tool_response>" in message["content"] else message
            for message in chat
        ]
        turns = _turns(self.perfect.task({**request, "messages": chat}), called)
        blocks = [f"<tool_call>{json.dumps(c.model_dump())}</tool_call>" for c in turns]
        return said(request, "\n".join(blocks) or "Done.")


def _turns(task: Any, chat: list[dict[str, Any]]) -> tuple[Any, ...]:
    """The calls of the present turn, of which an action has not been answered."""
    turn, answered = 0, False
    for before, message in pairwise(chat):
        if message["role"] == "tool":
            answered = True
        elif message["role"] == "user" and before["role"] == "assistant":
            turn, answered = turn + 1, False
    return () if answered else task.turns[turn].ground_truth


def test_streams_that_nobody_asked_for(rods, tmp_path: Path) -> None:
    perfect = Perfect(TASKS)

    def streaming(request: dict[str, Any]) -> Reply:
        data = json.loads(perfect(request).body or b"")
        message = data["choices"][0]["message"]
        calls = [{**c, "index": i} for i, c in enumerate(message.pop("tool_calls", ()))]
        parts = [{"role": "assistant"}, {"content": message["content"]}]
        parts += [{"tool_calls": [call]} for call in calls]
        events = [{"choices": [{"index": 0, "delta": part}]} for part in parts]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        events.append({"choices": [], "usage": data["usage"]})
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        return Reply(body=body.encode(), headers={"Content-Type": "text/event-stream"})

    results = evaluated(rods, probed(streaming), tmp_path / "out", "--limit", 8, *DRAWN)
    assert results["overall"]["complete"]["mean"] == 1.0


def test_episodes_are_shown_as_text_and_as_json(rods, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluated(rods, probed(Mixed()), out, "--limit", 8, *DRAWN)
    done = rods("eval", "--show", out)
    assert [line.split(" run ")[0] for line in done.out.splitlines()] == sorted(
        task.label for task in TASKS[:8]
    )
    task = next(row["task"] for row in rows(out) if row["calls"])
    found = rods("eval", "--show", out / "episodes.jsonl", "--task", task)
    assert f"[user] {benchmark_tasks()[task].turns[0].user.splitlines()[0]}" in found.out
    assert "[call] " in found.out and "[tool] " in found.out and "[turn 1] state" in found.out
    parsed = [json.loads(line) for line in rods("eval", "--show", out, "--json").out.splitlines()]
    assert [row["messages"][0]["role"] for row in parsed] == ["user"] * 8
    refused(rods("eval", "--show", out, "--task", "none"), "holds no episode of a task 'none'")
    refused(rods("eval", "--show", tmp_path), "episodes.jsonl")
    (tmp_path / "damaged.jsonl").write_text('{"task": "x", "run": "y"}\n')
    refused(rods("eval", "--show", tmp_path / "damaged.jsonl"), "line 1", "run")


def test_two_evaluations_are_compared_by_task(rods, tmp_path: Path) -> None:
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    first = evaluated(rods, probed(Mixed()), one, "--limit", LIMIT, *DRAWN)
    second = evaluated(rods, probed(Perfect(TASKS)), two, "--limit", 16, *DRAWN)
    done = rods("eval", "--compare", one, two, "--json")
    found = json.loads(done.out)
    assert (found["tasks"], found["only_one"], found["only_two"]) == (16, LIMIT - 16, 0)
    common = {row["task"] for row in rows(two)}
    mine = [row for row in rows(one) if row["task"] in common]
    for name in CATEGORIES:
        ours = [row["progress"] for row in mine if row["category"] == name]
        part = found["results"][name]["progress"]
        assert part["one"] == pytest.approx(sum(ours) / 4) and part["two"] == 1.0
        assert part["difference"]["mean"] == pytest.approx(1 - sum(ours) / 4)
        assert part["better"] == sum(value < 1 for value in ours) and part["worse"] == 0
        low, high = part["difference"]["low"], part["difference"]["high"]
        assert low <= part["difference"]["mean"] <= high
    assert first["overall"]["complete"]["mean"] < second["overall"]["complete"]["mean"]
    shown = rods("eval", "--compare", one, two)
    assert "16 common tasks" in shown.out and f"{LIMIT - 16} and 0 tasks" in shown.out
    evaluated(rods, silent, other, "--limit", 4, "--split", "train")
    refused(rods("eval", "--compare", one, other), "has no task that the other one has")
    refused(rods("eval", "--compare", one, tmp_path), "no evaluation")
    for damaged in ("{", "[]", '{"identity": {}, "about": {}}'):
        (other / "evaluation.json").write_text(damaged)
        refused(rods("eval", "--compare", one, other), "evaluation.json")


def documented(page: str) -> list[str]:
    """The commands of evaluation in a page, in their order."""
    code = "".join(re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S))
    lines = re.sub(r"\\\n\s*", "", code).splitlines()
    found = [line.partition(" #")[0].strip() for line in lines]
    return [line for line in found if line.startswith(("rods eval", "rods score runs"))]


@pytest.mark.parametrize(("page", "least"), [("README.md", 3), ("docs/evaluation.md", 10)])
def test_the_documented_commands(
    rods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, least: int
) -> None:
    """On few tasks, with a scripted server, and a small model in place of the named ones."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    commands = documented(page)
    assert len(commands) >= least
    with ScriptedEndpoint(silent) as server:
        Path("endpoint.yaml").write_text(json.dumps({"url": server.url, "model": "m"}))
        for out in ("one", "two"):
            assert rods(*options(server.url, Path("runs") / out, "--limit", 4)).code == 0
        for command in commands:
            asked: list[object] = [*command.split()[1:]]
            if "--out" in asked and "--env" not in asked:
                asked += ["--limit", 20 if "--limit 20" in command else 4]
            if "models/small" in asked:
                save_tiny_model(Path("models/small"))
                asked += ["--max-tokens", 4, "--env", OWN[1], "--tasks", OWN[3], "--limit", 2]
            done = rods(*(server.url if a == URL else a for a in asked))
            assert done.code == 0, (command, done.err)
    assert len(rows(Path("runs/eval"))) == 20


def test_a_page_shows_the_episodes_of_two_models_and_no_markup_of_theirs(
    rods, tmp_path: Path
) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    one, two = tmp_path / "one", tmp_path / "two"
    evaluated(rods, lambda request: said(request, hostile), one, "--limit", 4)
    evaluated(rods, probed(Perfect(TASKS)), two, "--limit", 4, *DRAWN)
    page = tmp_path / "page.html"
    done = rods("eval", "--compare", one, two, "--page", page)
    assert done.code == 0 and f"Page: {page}" in done.out
    text = page.read_text()
    assert "<script" not in text and "<img" not in text and "&lt;script&gt;alert(1)" in text
    assert all(f"<b>{task.label}</b>" in text for task in TASKS[:4])
    call = TASKS[0].turns[0].ground_truth[0]
    assert f"{call.name} {{" in text and "+1.000" in text


def test_two_processes_do_not_write_one_folder(rods, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ScriptedEndpoint(silent) as server:
        assert rods(*options(server.url, out, "--limit", 1)).code == 0
    import fcntl

    with (out / "episodes.jsonl").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = rods(*options(server.url, out, "--limit", 1))
    refused(done, "another process writes it")
    assert os.path.exists(out / "evaluation.json")
