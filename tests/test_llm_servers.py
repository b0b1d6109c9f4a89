"""Servers that misbehave as real ones do: an answer, or a cause in words that say what to do."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import test_trouble
from commandline import refused
from rods.endpoint import sending
from rods.endpoint.config import read_endpoint
from rods.errors import UserError, hidden
from rods.store.store import Store
from rods.synthesis.llm.backend import ModelBackend
from rods.synthesis.llm.endpoint import Cause, Endpoint, EndpointConfig, ModelError, Prompt
from rods.synthesis.llm.journal import Journal
from rods.synthesis.worker import SynthesisWorker
from scripted_endpoint import Reply, ScriptedEndpoint, endpoint, html, refusal
from server_faults import MODES, outcome
from test_collector import world

PROMPT = Prompt("query", "1", "You speak.", "Say a word.")
WORD = '{"word": "now"}'
KEY = "sk-0123456789-of-nobody"


class Word(BaseModel):
    word: str


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(sending, "PAUSE", 0.01)
    monkeypatch.setattr(sending, "LOADING", 0.0)


def asked(endpoint: Endpoint, key: str = "", user: str = "Say a word.") -> str:
    try:
        return endpoint.ask(PROMPT._replace(user=user), Word, key).word
    except ModelError as error:
        return str(error.cause)


@pytest.mark.parametrize("name", MODES)
def test_misbehaving_servers(name: str) -> None:
    found = outcome(MODES[name])
    assert found["as expected"], found
    assert not found["silently wrong"]


def test_every_request_says_what_it_needs() -> None:
    seen: list[dict[str, Any]] = []
    with ScriptedEndpoint(lambda request: seen.append(request) or Reply(WORD)) as server:
        for structured in ("auto", "schema", "tags"):
            asked(endpoint(server.url + "/", structured=structured))
    assert [request["stream"] for request in seen] == [False] * 3
    assert ["response_format" in request for request in seen] == [True, True, False]


Script = Callable[[dict[str, Any]], Reply]


def strict(*unknown: str) -> Script:
    """A server that knows none of these fields, and names the first that it meets."""

    def script(request: dict[str, Any]) -> Reply:
        roles = [turn["role"] for turn in request["messages"]]
        for field in unknown:
            if field in request or field in roles:
                return refusal(422, f"what is {field}?")
        said = WORD if "response_format" in request else "<word>now</word>"
        return Reply(said)

    return script


@pytest.mark.parametrize(
    ("unknown", "requests"),
    [
        (("max_tokens",), 2),
        (("temperature",), 2),
        (("system",), 2),
        (("response_format", "system", "max_tokens", "top_p"), 5),
        (("temperature", "max_tokens"), 3),
    ],
)
def test_the_form_that_a_refusal_names_is_made_plainer(
    unknown: tuple[str, ...], requests: int
) -> None:
    """Just that one, and once for the endpoint."""
    kept: list[dict[str, Any]] = []

    def script(request: dict[str, Any]) -> Reply:
        kept.append(request)
        return strict(*unknown)(request)

    with ScriptedEndpoint(script) as server:
        asking = endpoint(server.url)
        assert [asked(asking, str(n)) for n in range(3)] == ["now"] * 3
    assert server.requests == requests + 2
    last = kept[-1]
    assert ("response_format" in last) == ("response_format" not in unknown)
    assert (
        ("temperature" in last) == ("top_p" in last) == (not {"temperature", "top_p"} & {*unknown})
    )
    assert ("max_tokens" in last) == ("max_tokens" not in unknown)
    text = "\n".join(turn["content"] for turn in last["messages"])
    assert "You speak." in text and "Say a word." in text


def test_a_new_name_of_the_limit_that_is_not_known_is_taken_back() -> None:
    def script(request: dict[str, Any]) -> Reply:
        if "max_completion_tokens" in request:
            return refusal(422, "extra field: max_completion_tokens")
        return refusal(422, "no") if "top_p" in request else Reply("<word>now</word>")

    with ScriptedEndpoint(script) as server:
        assert asked(endpoint(server.url)) == "now"
    assert server.requests == 5


def test_a_refusal_after_an_answer_is_about_the_question() -> None:
    def script(request: dict[str, Any]) -> Reply:
        long = "long" in request["messages"][-1]["content"]
        return refusal(400, "too long for response_format") if long else Reply(WORD)

    with ScriptedEndpoint(script) as server:
        asking = endpoint(server.url)
        assert asked(asking) == "now"
        assert asked(asking, user="long") == "refused"
        assert asked(asking) == "now"
    assert server.requests == 3 and "asked in tags instead" not in asking.counts


def test_a_fixed_schema_is_kept() -> None:
    with ScriptedEndpoint(strict("response_format")) as server:
        assert asked(endpoint(server.url, structured="schema")) == "refused"
        assert asked(endpoint(server.url, structured="tags")) == "now"


def test_the_first_question_goes_alone() -> None:
    """Ten threads learn from one what the server does not know."""
    with ScriptedEndpoint(strict("response_format", "system")) as server:
        asking = endpoint(server.url)
        with ThreadPoolExecutor(10) as threads:
            words = list(threads.map(lambda n: asked(asking, str(n)), range(10)))
    assert words == ["now"] * 10
    assert server.requests == 12


@pytest.mark.parametrize("reply", [Reply(hang=True), refusal(429)])
def test_a_first_question_that_waits_holds_no_other(reply: Reply) -> None:
    other = threading.Event()

    def script(request: dict[str, Any]) -> Reply:
        if request["messages"][1]["content"] == "slow" and not other.is_set():
            return reply
        other.set()
        return Reply(WORD)

    with ScriptedEndpoint(script) as server, ThreadPoolExecutor(2) as threads:
        asking = endpoint(server.url, timeout=1.0, retries=50)
        slow = threads.submit(asked, asking, "", "slow")
        assert asked(asking) == slow.result() == "now"


def test_no_other_question_is_asked_if_none_can_be_answered(tmp_path: Path) -> None:
    """Those that wait meanwhile end too. A later one tries again: the model may be there then."""
    replies = [refusal(404, "no model `m` here") for _ in range(5)]
    arrived = threading.Semaphore(0)

    def script(request: dict[str, Any]) -> Reply:
        if len(replies) == 1:
            for _ in range(3):
                arrived.acquire(timeout=60)
            time.sleep(0.1)  # in which they begin to wait
        return replies.pop() if replies else Reply(WORD)

    def late(asking: Endpoint) -> str:
        arrived.release()
        return asked(asking)

    with ScriptedEndpoint(script) as server, Journal(tmp_path / "j") as journal:
        asking = endpoint(server.url, journal)
        with ThreadPoolExecutor(4) as threads:
            first = threads.submit(asked, asking)
            while not server.requests:
                time.sleep(0.01)
            others = [threads.submit(late, asking) for _ in range(3)]
            for each in (first, *others):
                with pytest.raises(UserError, match=r"/v1: status 404: no model `m` here; check"):
                    each.result()
        assert server.requests == 5
        assert (tmp_path / "j").read_text() == "", "it would answer again when the name is mended"
        assert asked(asking) == "now"


@pytest.mark.parametrize(
    ("reply", "cause", "message"),
    [
        (refusal(400, "unknown model"), Cause.REFUSED, "refused: status 400: unknown model"),
        (html(), Cause.NOT_CHAT, "not a chat answer: <!DOCTYPE html>"),
    ],
)
def test_the_first_questions_all_end_alike(reply: Reply, cause: Cause, message: str) -> None:
    """A model's name that is refused with 400; a URL that leads to a page."""
    with ScriptedEndpoint(lambda request: reply) as server:
        asking = endpoint(server.url)
        assert [asked(asking, str(n)) for n in range(4)] == [cause] * 4
        with pytest.raises(UserError, match=f"/v1: {message}"):
            asked(asking)
    assert asking.counts[cause] == 5


def test_a_word_about_the_model_says_nothing_of_its_name() -> None:
    with ScriptedEndpoint(lambda request: refusal(400, "invalid model output, m")) as server:
        asking = endpoint(server.url)
        assert [asked(asking, str(n)) for n in range(4)] == ["refused"] * 4


def test_a_long_stream_says_so() -> None:
    event = b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'
    message = "(too long|repeats): .*streamed although it should not be"
    server = ScriptedEndpoint(lambda request: Reply(endless=event))
    with server, pytest.raises(ModelError, match=message):
        endpoint(server.url).ask(PROMPT, Word)


def test_a_refusal_by_the_model_says_nothing_of_the_endpoint() -> None:
    with ScriptedEndpoint(lambda request: Reply("", finish="content_filter")) as server:
        asking = endpoint(server.url)
        assert {asked(asking, str(n)) for n in range(9)} == {"refused"}
    assert server.requests == 9


def test_the_command_ends_with_the_servers_words(rods, tmp_path: Path) -> None:
    out = tmp_path / "made.jsonl"
    order = ("synth", "--count", 3, "--out", out, "--backend", "llm", "--model", "m")
    with ScriptedEndpoint(lambda request: refusal(404, "The model `m` does not exist.")) as server:
        done = rods(*order, "--url", server.url)
    refused(done, server.url, "status 404", "The model `m` does not exist", "check the url")
    assert server.requests < 60, "a few threads each ask in every form before all is over"
    assert not out.exists() and not (tmp_path / "made.jsonl.part").exists()


@pytest.mark.parametrize(
    ("reply", "cause", "words"),
    [
        (refusal(503, "Loading model", **{"Retry-After": "0"}), "plan: down", "Loading model"),
        pytest.param(
            *(Reply(status=204), "no_pattern", "the response has no bytes"), marks=pytest.mark.slow
        ),
        pytest.param(
            *(Reply("<think>Hm.</think>"), "no_pattern", "nothing but thinking"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_command_in_vain_tells_the_last_failure(
    rods, tmp_path: Path, reply: Reply, cause: str, words: str
) -> None:
    order = ("synth", "--count", 1, "--out", tmp_path / "made", "--backend", "llm", "--model", "m")
    with ScriptedEndpoint(lambda request: reply) as server:
        done = rods(*order, "--url", server.url, "--patience", 1)
    refused(done, cause, f"the model's last answer failed: {cause.partition(': ')[2]}", words)


def test_the_url_may_lack_its_path() -> None:
    with ScriptedEndpoint(lambda request: refusal(404, "page not found")) as server:
        with pytest.raises(UserError, match=r"page not found; .* most servers want /v1"):
            asked(endpoint(server.url.removesuffix("/v1")))
        with pytest.raises(UserError, match=r"the model's name$"):
            asked(endpoint(server.url))
        with pytest.raises(UserError, match=r"WRONG_VERSION.*; write the url with http,"):
            asked(endpoint(server.url.replace("http:", "https:")))


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy = f"http://127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(UserError, match=f"no connection through the proxy {proxy}: "):
        asked(endpoint("http://elsewhere.invalid/v1"))


@pytest.mark.parametrize("url", [" http://h/v1", "http://h/v1\n", "http://h\0/v1", "http://h /v1"])
def test_a_url_of_odd_characters_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no blanks and line ends"):
        EndpointConfig(url=url, model="m")


def test_a_worker_gives_up_visibly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_trouble, "SEEDS", world().parents[:8])
    config, notices = test_trouble.jobs_for_a_worker(tmp_path, errors=3), list[str]()
    store = Store(tmp_path, role="worker", durable=False)
    here, file = world(), tmp_path / "endpoint.yaml"
    with ScriptedEndpoint(lambda request: refusal(401, f"bad key {KEY}")) as server:
        file.write_text(json.dumps({"url": server.url, "model": "m"}))
        journal = tmp_path / "calls.jsonl"
        backend = ModelBackend(
            read_endpoint(file, None, None), journal=journal, notice=notices.append
        )
        synthesis = backend.pipeline(here.pipeline(), here.env)
        count = SynthesisWorker(config, store, synthesis, pause=0, notice=notices.append).run()
    store.close()
    assert (count.jobs, count.errors) == (3, 3)
    assert server.url in count.gave_up and "status 401: bad key ***" in count.gave_up
    assert [notice.split(":")[0] for notice in notices] == [
        "an error in synthesis", "synthesis is given up"
    ]  # fmt: skip
    assert hidden(count.gave_up) == count.gave_up


def test_most_requests_time_out() -> None:
    """The notice comes once."""
    lines: list[str] = []
    with ScriptedEndpoint(lambda request: Reply(hang=True)) as server:
        asking = endpoint(server.url, timeout=0.05, notice=lines.append)
        with ThreadPoolExecutor(8) as threads:
            assert {*threads.map(lambda n: asked(asking, str(n)), range(10))} == {"timeout"}
            assert lines == []
            assert {*threads.map(lambda n: asked(asking, str(n)), range(30))} == {"timeout"}
    assert lines == [
        "most requests time out after 0.05 s; set timeout higher or parallel lower in the"
        " --endpoint file"
    ]


def test_how_far_the_questions_are() -> None:
    arrived, go = threading.Semaphore(0), threading.Event()

    def script(request: dict[str, Any]) -> Reply:
        if request["messages"][1]["content"] == "wait":
            arrived.release()
            go.wait(60)
        return Reply(WORD if "no" not in request["messages"][1]["content"] else "{}")

    with ScriptedEndpoint(script) as server, ThreadPoolExecutor(2) as threads:
        asking = endpoint(server.url)
        assert [asked(asking), asked(asking, user="no")] == ["now", "invalid"]
        waiting = [threads.submit(asked, asking, str(n), "wait") for n in range(2)]
        for _ in waiting:
            assert arrived.acquire(timeout=60)
        assert asking.progress == (2, 1, 1)
        go.set()
        assert [each.result() for each in waiting] == ["now", "now"]
    assert asking.progress == (0, 3, 1)


@pytest.mark.parametrize(
    "reply", [Reply(hang=True), Reply(WORD, drip=0.2), refusal(429, **{"Retry-After": "3600"})]
)
def test_a_stop_ends_all_questions(reply: Reply, tmp_path: Path) -> None:
    """Whatever they wait for: an answer, its rest, a pause, a place, or the first one."""
    arrived = threading.Event()

    def script(request: dict[str, Any]) -> Reply:
        arrived.set()
        return reply

    with ScriptedEndpoint(script) as server, Journal(tmp_path / "j") as journal:
        asking = endpoint(server.url, journal, timeout=3600.0, retries=9, parallel=2)
        with ThreadPoolExecutor(6) as threads:
            under_way = [threads.submit(asked, asking, str(n)) for n in range(6)]
            assert arrived.wait(60)
            asking.stop()
            for each in under_way:
                with pytest.raises(KeyboardInterrupt):
                    each.result(timeout=60)
        with pytest.raises(KeyboardInterrupt):
            asked(asking)
        asking.close()
    assert server.requests <= len(under_way), "none is sent a second time"
    assert not (tmp_path / "j").exists()
    assert asking.progress == (0, 0, 0)
    assert asking.counts["asked"] == 0


def test_a_stop_ends_a_request_that_is_not_read() -> None:
    """The server takes the connection and no byte of a long question."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asking = endpoint(f"http://127.0.0.1:{server.getsockname()[1]}/v1", timeout=3600.0)
        with ThreadPoolExecutor(1) as threads:
            asking_now = threads.submit(asked, asking, "", "x" * 20_000_000)
            connection, _ = server.accept()
            with connection:
                asking.stop()
                with pytest.raises(KeyboardInterrupt):
                    asking_now.result(timeout=60)


def test_a_stopped_journal_answers_no_more(tmp_path: Path) -> None:
    with (
        ScriptedEndpoint(lambda request: Reply(WORD)) as server,
        Journal(tmp_path / "j") as journal,
    ):
        assert asked(endpoint(server.url, journal)) == "now"
    replay = endpoint("http://127.0.0.1:9/v1", Journal(tmp_path / "j", replay=True))
    replay.stop()
    with pytest.raises(KeyboardInterrupt):
        asked(replay)


def test_the_address_of_the_call_is_no_url() -> None:
    with pytest.raises(ValueError, match="leave out /chat/completions; write it as http://h/v1"):
        EndpointConfig(url="http://h/v1/chat/completions/", model="m")
    assert EndpointConfig(url="http://h/v1/", model="m").url == "http://h/v1"
