"""Every fault of an endpoint ends in its cause, within its time, counted, and without the key."""

import asyncio
import json
import logging
import socket
import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from rods.endpoint import sending
from rods.endpoint.answer import period, repeating
from rods.endpoint.fault import Fault
from rods.endpoint.refusal import retry_after
from rods.errors import UserError
from rods.synthesis.llm.answer_parts import AnswerParts
from rods.synthesis.llm.endpoint import Cause, EndpointConfig, ModelError, Prompt
from rods.synthesis.llm.forms import read, response_format
from rods.synthesis.llm.journal import Journal
from scripted_endpoint import Reply, ScriptedEndpoint, endpoint, html, refusal

KEY = "sk-very-secret-0123456789"
PROMPT = Prompt("planner", "1", "You plan.", "Plan this.")


class Plan(BaseModel):
    narrative: str
    turns: list[str] = Field(alias="turn", min_length=1)


JSON = '{"narrative": "a trip", "turn": ["go", "come back"]}'
TAGGED = "<narrative>a trip</narrative>\n<turn>go</turn><turn>come back</turn>"
VARIED = " ".join(str(n * n) for n in range(200_000))


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(sending, "PAUSE", 0.01)


def always(reply: Reply) -> Callable[[dict[str, Any]], Reply]:
    return lambda request: reply


def in_tags(request: dict[str, Any]) -> bool:
    return "<narrative>" in request["messages"][0]["content"]


FAULTS: dict[str, tuple[Reply, Cause]] = {
    "hang": (Reply(hang=True), Cause.TIMEOUT),
    "dripping head": (Reply(JSON, drip=0.05), Cause.TIMEOUT),
    "dripping body": (Reply(JSON, drip=0.05, drip_from=120), Cause.TIMEOUT),
    "dripping error": (Reply(VARIED, status=500, drip=0.05, drip_from=120), Cause.TIMEOUT),
    "429": (refusal(429, "slow down"), Cause.RATE_LIMITED),
    "500": (refusal(500), Cause.DOWN),
    "503 as a page": (html(503), Cause.DOWN),
    "endless 500": (Reply(status=500, endless=VARIED[:4000].encode()), Cause.DOWN),
    "400": (refusal(400, "bad"), Cause.REFUSED),
    "408": (refusal(408), Cause.TIMEOUT),
    "redirect": (refusal(302, Location="http://127.0.0.1:1/"), Cause.REFUSED),
    "page": (html(), Cause.NOT_CHAT),
    "bytes": (Reply(body=bytes(range(256))), Cause.NOT_CHAT),
    "gzip": (Reply(JSON, headers={"Content-Encoding": "gzip"}), Cause.NOT_CHAT),
    "no HTTP": (Reply(raw=b"SSH-2.0-OpenSSH\r\n\r\n" * 9), Cause.DOWN),
    "dripping 100 Continue": (
        Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 99, drip=0.001),
        Cause.TIMEOUT,
    ),
    "odd charset": (
        Reply(status=400, body=b"zz", headers={"Content-Type": "text/plain; charset=hex"}),
        Cause.REFUSED,
    ),
    "key in a page": (Reply(body=("x" * 190 + KEY).encode()), Cause.NOT_CHAT),
    "other JSON": (Reply(body=b'{"choices": []}'), Cause.NOT_CHAT),
    "a number": (Reply(body=b"17"), Cause.NOT_CHAT),
    "deep JSON": (Reply(body=b"[" * 100_000), Cause.NOT_CHAT),
    "torn JSON": (Reply(body=b'{"choices": [{"mess'), Cause.NOT_CHAT),
    "no body": (Reply(body=b""), Cause.EMPTY),
    "no words": (Reply(""), Cause.EMPTY),
    "null": (Reply(None), Cause.EMPTY),
    "only thinking": (Reply("<think>hm</think>\n"), Cause.EMPTY),
    "closed in mid-answer": (Reply(JSON, close_at=40), Cause.DOWN),
    "closed at once": (Reply(JSON, close_at=0), Cause.DOWN),
    "a megabyte": (Reply(VARIED), Cause.TOO_LONG),
    "endless": (Reply(endless=VARIED[:4000].encode()), Cause.TOO_LONG),
    "endless repetition": (Reply(endless=b"and so on "), Cause.REPEATS),
    "length": (Reply(JSON[:20], finish="length"), Cause.CUT_OFF),
    "length, repeating": (Reply("I say. " * 400, finish="length"), Cause.REPEATS),
    "length, lines": (
        Reply("\n".join(f"{n % 7}\nthe same" for n in range(99)), finish="length"),
        Cause.REPEATS,
    ),
    "filtered": (Reply("", finish="content_filter"), Cause.REFUSED),
    "words": (Reply("I would rather not."), Cause.UNREADABLE),
    "torn object": (Reply(JSON[:-3]), Cause.UNREADABLE),
    "other content": (Reply('{"narrative": 1, "turn": "x"}'), Cause.INVALID),
    "other tags": (Reply("<narrative>alone</narrative>"), Cause.INVALID),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_cause(name: str, tmp_path: Path) -> None:
    reply, cause = FAULTS[name]
    quick = "hang" in name or "dripping" in name
    with ScriptedEndpoint(always(reply)) as server, Journal(tmp_path / "j") as journal:
        asked = endpoint(server.url, journal, timeout=0.2 if quick else 10.0)
        with pytest.raises(ModelError) as caught:
            asked.ask(PROMPT, Plan)
        asked.close()
    error = caught.value
    assert (error.cause, error.role, asked.counts[cause]) == (cause, "planner", 1)
    assert asked.counts[f"planner: {cause}"] == asked.counts["asked"] == 1
    assert asked.counts["tried"] == server.requests
    assert len(error.detail) <= 200
    assert error.__cause__ is None and error.__context__ is None
    assert KEY[:9] not in f"{error!r} {error} {(tmp_path / 'j').read_text()}"
    assert json.loads((tmp_path / "j").read_text())["cause"] == cause


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    asked = endpoint(f"http://127.0.0.1:{port}/v1", retries=3)
    with pytest.raises(UserError, match=rf"^http://127.0.0.1:{port}/v1: no connection: "):
        asked.ask(PROMPT, Plan)
    assert asked.counts[Cause.DOWN] == 1
    assert asked.counts["tried"] == 3 and asked.counts["again after down"] == 2


ANSWERS = {
    "json": JSON,
    "by field name": JSON.replace('"turn"', '"turns"'),
    "fenced": f"```json\n{JSON}\n```",
    "words around": f"Here {{as asked}}: {JSON} Is it {{good}}?",
    "after a wrong one": f'{{"example": 1}} {JSON}',
    "tags": TAGGED,
    "fenced tags": f"Sure!\n```xml\n{TAGGED}\n```",
    "thought": f'<think>What about {{"narrative": "x", "turn": ["y"]}}?</think>{JSON}',
    "thought, no beginning": f"What about {{}} or <turn>x</turn>?\n</think>\n{TAGGED}",
}


@pytest.mark.parametrize("structured", ["auto", "schema", "tags"])
@pytest.mark.parametrize("name", ANSWERS)
def test_either_form_is_read_in_every_mode(name: str, structured: str) -> None:
    with ScriptedEndpoint(always(Reply(ANSWERS[name]))) as server:
        asked = endpoint(server.url, structured=structured)
        plan = asked.ask(PROMPT, Plan)
    assert (plan.narrative, plan.turns) == ("a trip", ["go", "come back"])
    assert server.requests == 1


def test_the_request_is_as_configured() -> None:
    seen: list[dict[str, Any]] = []

    def script(request: dict[str, Any]) -> Reply:
        seen.append(request)
        return Reply(JSON)

    with ScriptedEndpoint(script) as server:
        asked = endpoint(server.url, max_tokens=77, price_in=2.0, price_out=4.0)
        asked.ask(PROMPT, Plan)
    (request,) = seen
    assert (request["temperature"], request["top_p"], request["max_tokens"]) == (1.0, 0.7, 77)
    assert [m["content"] for m in request["messages"]] == ["You plan.", "Plan this."]
    schema = request["response_format"]["json_schema"]
    assert schema["strict"] and schema["schema"]["required"] == ["narrative", "turn"]
    assert request["headers"]["authorization"] == f"Bearer {KEY}"
    usage = asked.usage["planner"]
    assert (usage.asked, usage.answered, usage.tries) == (1, 1, 1)
    assert (usage.tokens_in, usage.tokens_out, usage.cost) == (10, 5, 40e-6)
    assert usage.seconds > 0


def test_a_free_part_makes_the_schema_loose() -> None:
    class Inner(BaseModel):
        arguments: dict[str, Any]

    class Outer(BaseModel):
        calls: list[Inner] | None = None

    assert not response_format(Outer)["json_schema"]["strict"]
    assert response_format(Plan)["json_schema"]["strict"]


@pytest.mark.parametrize("status", [400, 422, 500])
def test_an_endpoint_without_schemas_is_asked_in_tags(status: int) -> None:
    def script(request: dict[str, Any]) -> Reply:
        if "response_format" in request:
            return refusal(status, "response_format is not supported")
        return Reply(TAGGED if in_tags(request) else "what form?")

    with ScriptedEndpoint(script) as server:
        asked = endpoint(server.url)
        assert [asked.ask(PROMPT, Plan).narrative for _ in range(3)] == ["a trip"] * 3
    assert server.requests == asked.counts["tried"] == 4
    assert asked.counts["asked in tags instead"] == 1


def test_a_schema_that_is_not_heeded_leads_to_tags() -> None:
    def script(request: dict[str, Any]) -> Reply:
        return Reply(TAGGED if in_tags(request) else "I think we should go.")

    with ScriptedEndpoint(script) as server:
        asked = endpoint(server.url)
        assert [asked.ask(PROMPT, Plan).narrative for _ in range(2)] == ["a trip"] * 2
        strict = endpoint(server.url, structured="schema")
        with pytest.raises(ModelError) as caught:
            strict.ask(PROMPT, Plan)
    assert (server.requests, caught.value.cause) == (4, Cause.UNREADABLE)


def test_each_try_is_counted_and_the_server_says_how_long_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    replies = [refusal(429, **{"Retry-After": "0.3"}), refusal(502), Reply(JSON)]
    with ScriptedEndpoint(lambda request: replies.pop(0)) as server:
        asked = endpoint(server.url, retries=3)
        assert asked.ask(PROMPT, Plan).narrative == "a trip"
    assert asked.counts["tried"] == asked.usage["planner"].tries == 3
    assert asked.counts["again after rate limited"] == asked.counts["again after down"] == 1
    assert asked.counts["answered"] == asked.counts["planner: answered"] == 1
    first, second = waited
    assert first == 0.3 and 0 < second <= 2 * sending.PAUSE


def test_pauses_grow_up_to_a_limit() -> None:
    assert sending.pause(0, 2.5) == 2.5
    assert sending.pause(0, 86_400.0) == sending.LONGEST_PAUSE
    assert sending.PAUSE * 4 <= sending.pause(3, None) <= sending.PAUSE * 8
    assert sending.pause(10**6, None) <= sending.LONGEST_PAUSE
    soon = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=100)))
    assert soon is not None and 0 < soon <= 100
    assert retry_after("-3") == 0.0 and retry_after("7") == 7.0
    assert [retry_after(text) for text in ("", "soon", "nan", "inf", "9" * 500)] == [None] * 5


def test_no_more_requests_at_once_than_allowed() -> None:
    together = threading.Barrier(4)  # nobody is answered before four are there

    def script(request: dict[str, Any]) -> Reply:
        if request["messages"][1]["content"] != "first":
            together.wait(60)
        return Reply(JSON, delay=0.05)  # in which a fifth would come

    with ScriptedEndpoint(script) as server:
        asked = endpoint(server.url, parallel=4, timeout=120.0)
        asked.ask(PROMPT._replace(user="first"), Plan)  # it goes alone
        with ThreadPoolExecutor(16) as threads:
            plans = list(threads.map(lambda _: asked.ask(PROMPT, Plan), range(24)))
    assert len(plans) == 24
    assert asked.counts["answered"] == server.requests == 25
    assert server.highest == 4


def test_a_pause_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    second = threading.Event()

    def script(request: dict[str, Any]) -> Reply:
        if request["messages"][1]["content"] == "quick":
            second.set()
            return Reply(JSON)
        return Reply(JSON) if second.is_set() else refusal(429, **{"Retry-After": "0.1"})

    with ScriptedEndpoint(script) as server, ThreadPoolExecutor(1) as threads:
        asked = endpoint(server.url, parallel=1, retries=100)
        slow = threads.submit(asked.ask, PROMPT, Plan)
        assert asked.ask(PROMPT._replace(user="quick"), Plan).narrative == "a trip"
        assert slow.result().narrative == "a trip"


def test_the_key_is_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = JSON.replace("a trip", KEY)
    replies = [Reply(echo), refusal(429, f"{KEY} is tired"), Reply(f"{KEY}, no")]
    journal = Journal(tmp_path / "j")
    with ScriptedEndpoint(lambda request: replies.pop(0)) as server:
        asked = endpoint(server.url, journal, structured="schema")
        said = [repr(asked.ask(PROMPT, Plan))]
        for _ in range(2):
            with pytest.raises(ModelError) as caught:
                asked.ask(PROMPT, Plan)
            said += [str(caught.value), repr(caught.value), caught.value.detail]
    said += [repr(asked), repr(asked.config), asked.config.model_dump_json(), repr(asked.usage)]
    said += [(tmp_path / "j").read_text(), caplog.text, repr(asked.counts), repr(vars(asked))]
    assert not any(KEY in text for text in said)
    assert "***" in said[0]


def test_a_key_that_no_header_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nX-Other: 1")
    with pytest.raises(UserError, match="OPENAI_API_KEY") as caught:
        endpoint("http://127.0.0.1:1/v1")
    assert KEY not in str(caught.value)


def test_half_characters_are_sent_as_something_else() -> None:
    seen: list[str] = []

    def script(request: dict[str, Any]) -> Reply:
        seen.append(request["messages"][1]["content"])
        return Reply(JSON)

    with ScriptedEndpoint(script) as server:
        endpoint(server.url).ask(PROMPT._replace(user="a\ud800é"), Plan)
    assert seen == ["a?é"]


def test_a_wrong_key_is_told_by_the_name_of_its_variable() -> None:
    refused = refusal(401, f"Incorrect API key provided: {KEY}")
    message = r"/v1: the key in \$OPENAI_API_KEY is not accepted: status 401: .*\*\*\*"
    with (
        ScriptedEndpoint(always(refused)) as server,
        pytest.raises(UserError, match=message) as caught,
    ):
        endpoint(server.url, retries=3).ask(PROMPT, Plan)
    assert server.requests == 1
    assert KEY[:9] not in str(caught.value)


def test_a_server_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with ScriptedEndpoint(always(Reply(JSON))) as server:
        assert endpoint(server.url).ask(PROMPT, Plan).narrative == "a trip"


@pytest.mark.parametrize(
    "field",
    [
        {"url": "127.0.0.1:8000/v1"},
        {"url": f"https://user:{KEY}@host/v1"},
        {"url": f"https://host/v1?api_key={KEY}"},
        {"key_env": KEY},
        {"retries": 0},
        {"parallel": 0},
        {"timeout": float("inf")},
        {"api_key": KEY},
    ],
)
def test_unusable_settings(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        EndpointConfig(**{"url": "http://host/v1", "model": "m", **field})
    assert KEY not in str(caught.value)


def test_the_extra_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=r"rods\[llm\]"):
        endpoint("http://127.0.0.1:1/v1")


def test_connections_are_kept() -> None:
    ports = set()
    with ScriptedEndpoint(always(Reply(JSON))) as server:
        original = server.server.get_request

        def get_request() -> Any:
            connection, address = original()
            ports.add(address)
            return connection, address

        server.server.get_request = get_request  # type: ignore[method-assign]
        asked = endpoint(server.url)
        for _ in range(5):
            asked.ask(PROMPT, Plan)
    assert len(ports) == 1


def test_thinking_is_dropped_only_at_the_beginning() -> None:
    assert AnswerParts(" <think>a</think> b").words == "b"
    assert AnswerParts("a</think>b").words == "b"
    assert AnswerParts('{"a": "</think>"}').words == '{"a": "</think>"}'
    assert AnswerParts("b <think>a</think>").words == "b <think>a</think>"
    assert AnswerParts("<think>never ends").words == ""


@pytest.mark.parametrize(
    "text",
    ["{" * 200_000, '{"a":' * 40_000, "<turn>" * 40_000, '{"a": [' * 30_000 + "1", "<" * 250_000],
)
def test_hostile_words_end_soon(text: str) -> None:
    with pytest.raises(Fault):
        read(text, Plan)


@pytest.mark.parametrize("value", ["NaN", "1e999", '"\\ud800"', "[" * 40 + "]" * 40])
def test_what_json_should_not_hold(value: str) -> None:
    class Free(BaseModel):
        a: Any

    with pytest.raises(Fault):
        read(f'{{"a": {value}}}', Free)


def test_repetition() -> None:
    assert period("abcabcabcab") == 3 and period("abcd") == 4 and period("") == 0
    assert repeating("x" * 700) and repeating(VARIED[:3000] + "no, no, " * 200)
    assert not repeating(VARIED) and not repeating("short short short ") and not repeating("")


def test_a_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    seen: list[dict[str, str]] = []

    def script(request: dict[str, Any]) -> Reply:
        seen.append(request["headers"])
        return Reply(JSON)

    with ScriptedEndpoint(script) as proxy, ScriptedEndpoint(always(Reply(JSON))) as server:
        address = proxy.url.removesuffix("/v1").replace("//", "//me:pass%20word@")
        monkeypatch.setenv("http_proxy", f"{address}/")
        monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
        for url in ("http://model.invalid/v1", server.url):
            assert endpoint(url).ask(PROMPT, Plan).narrative == "a trip"
        assert (proxy.requests, server.requests) == (1, 1)
    assert seen[0]["host"] == "model.invalid"
    word = b64encode(b"me:pass word").decode()
    assert seen[0]["proxy-authorization"] == f"Basic {word}"
