"""The asynchronous client: tools, odd answers, token ids, and its end at once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rods.endpoint import sending
from rods.endpoint.answer import ChatAnswer, RawCall
from rods.endpoint.client import ChatClient
from rods.endpoint.completion import IdsAnswer, IdsRequest
from rods.endpoint.config import EndpointConfig
from rods.endpoint.fault import Cause, Fault
from rods.endpoint.ledger import Usage
from rods.endpoint.places import Places
from rods.endpoint.request import ChatRequest
from rods.errors import UserError
from scripted_endpoint import Reply, ScriptedEndpoint, refusal

KEY = "sk-0123456789-of-nobody"
TOOLS = [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}]
MESSAGES = [{"role": "system", "content": "You act."}, {"role": "user", "content": "List all."}]
ASK = ChatRequest(MESSAGES, TOOLS)
CALL = {"id": "c1", "type": "function", "function": {"name": "ls", "arguments": '{"a": true}'}}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(sending, "PAUSE", 0.01)


def said(content: Any = None, tokens: int = 50, finish: str = "stop", **message: Any) -> Reply:
    """A chat completion with any message."""
    whole = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "message": whole, "finish_reason": finish}
    usage = {"prompt_tokens": tokens, "completion_tokens": 7}
    return Reply(body=json.dumps({"choices": [choice], "usage": usage}).encode())


def client(url: str, **settings: Any) -> ChatClient:
    values = {"model": "m", "timeout": 10.0, "retries": 1, **settings}
    notice = values.pop("notice", lambda line: None)
    return ChatClient(EndpointConfig(url=url, **values), notice=notice)


def answers(
    script: Callable[[dict[str, Any]], Reply], *requests: ChatRequest, **settings: Any
) -> tuple[list[ChatAnswer], list[dict[str, Any]]]:
    """The answers to requests, one after the other, and what the server saw."""
    seen: list[dict[str, Any]] = []

    def noted(request: dict[str, Any]) -> Reply:
        seen.append(request)
        return script(request)

    async def ask(url: str) -> list[ChatAnswer]:
        asking = client(url, **settings)
        try:
            return [await asking.ask(request) for request in requests]
        finally:
            await asking.aclose()

    with ScriptedEndpoint(noted) as server:
        return asyncio.run(ask(server.url)), seen


def test_a_conversation_with_tools_goes_out_as_it_is() -> None:
    turn = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "a.txt \ud800é"}
    request = ASK._replace(
        messages=[*MESSAGES, turn, result], seed=5, temperature=0.0, max_tokens=9, logprobs=True
    )
    (answer,), (seen,) = answers(lambda request: said(tool_calls=[CALL]), request)
    assert answer.calls == (RawCall("c1", "ls", '{"a": true}'),)
    assert seen["messages"] == [*MESSAGES, turn, {**result, "content": "a.txt ?é"}]
    assert seen["tools"] == TOOLS
    given = {"seed": 5, "temperature": 0.0, "top_p": 0.7, "max_tokens": 9, "logprobs": True}
    assert {name: seen[name] for name in given} == given
    assert "response_format" not in seen


def test_the_parts_of_an_answer_are_separate() -> None:
    logprobs = {"content": [{"token": "Hi", "logprob": -0.5}, {"token": "!", "logprob": -1}]}
    body = json.loads(said("Hi!", reasoning_content="They wait.", tool_calls=[CALL]).body or b"")
    body["choices"][0]["logprobs"] = logprobs
    (answer,), _ = answers(lambda request: Reply(body=json.dumps(body).encode()), ASK)
    assert (answer.text, answer.thinking, len(answer.calls)) == ("Hi!", "They wait.", 1)
    assert answer.logprobs == (-0.5, -1.0)
    assert (answer.tokens_in, answer.tokens_out, answer.reason) == (50, 7, "stop")
    assert answer.seconds > 0


ODD = {
    "arguments as an object": (
        [{"id": "1", "function": {"name": "ls", "arguments": {"a": 1}}}],
        [RawCall("1", "ls", '{"a": 1}')],
    ),
    "no id, no arguments": ([{"function": {"name": "ls"}}], [RawCall("", "ls", "")]),
    "torn arguments": (
        [{"id": "1", "function": {"name": "ls", "arguments": '{"a": '}}],
        [RawCall("1", "ls", '{"a": ')],
    ),
    "no function": (["ls()", {"name": "ls"}], [RawCall("", "", "ls()"),
                                              RawCall("", "", '{"name": "ls"}')]),
    "numbers": (
        [{"id": 7, "function": {"name": 8, "arguments": 9}}], [RawCall("7", "8", "9")]
    ),
    "one without a list": (CALL, [RawCall("c1", "ls", '{"a": true}')]),
    "none": ([], []),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_calls_are_calls(name: str) -> None:
    """None is lost, and none is made usable that is not."""
    calls, expected = ODD[name]
    (answer,), _ = answers(lambda request: said("x", tool_calls=calls), ChatRequest(MESSAGES))
    assert answer.calls == tuple(expected)


def events(*deltas: dict[str, Any]) -> Reply:
    lines = [json.dumps({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    usage = json.dumps({"choices": [], "usage": {"prompt_tokens": 60, "completion_tokens": 5}})
    text = "".join(f"data: {line}\n\n" for line in (*lines, usage, "[DONE]"))
    return Reply(body=text.encode(), headers={"Content-Type": "text/event-stream"})


def part(index: int | None, arguments: str, name: str = "", id: str = "") -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    call: dict[str, Any] = {"function": function} | ({"id": id} if id else {})
    return {"tool_calls": [call if index is None else {"index": index, **call}]}


TWO = part(1, "{}", "cd", "2")
STREAMS = {
    "OpenAI's": (part(0, "", "ls", "1"), part(0, '{"a'), part(0, '": 1}'), TWO),
    "interleaved": (
        *(part(0, '{"a', "ls", "1"), part(1, "{", "cd", "2")),
        *(part(0, '": 1}'), part(1, "}")),
    ),
    "names in each part": (part(0, '{"a', "ls", "1"), part(0, '": 1}', "ls", "1"), TWO),
    "without an index": (
        *(part(None, '{"a', "ls", "1"), part(None, '": 1}')),
        part(None, "{}", "cd", "2"),
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_calls_that_are_streamed_unasked_are_joined(name: str) -> None:
    (answer,), _ = answers(lambda request: events({"content": "Now"}, *STREAMS[name]), ASK)
    assert answer.calls == (RawCall("1", "ls", '{"a": 1}'), RawCall("2", "cd", "{}"))
    assert (answer.text, answer.tokens_in) == ("Now", 60)


def test_an_answer_may_be_empty_or_cut() -> None:
    """These are the agent's failures, and not the endpoint's."""
    (empty,), _ = answers(lambda request: said(""), ChatRequest(MESSAGES))
    assert (empty.text, empty.calls, empty.cut) == ("", (), False)
    (cut,), _ = answers(lambda request: said("I th", finish="length"), ChatRequest(MESSAGES))
    assert (cut.text, cut.cut) == ("I th", True)


def test_a_server_that_ignores_tools_is_found_at_the_first_answer() -> None:
    """The prompt is as long without them; the command ends with what to do."""
    with pytest.raises(UserError, match=r"/v1: the prompt has 50 tokens, .*; start the server"):
        answers(lambda request: said("Sure."), ASK)
    longer = lambda request: said("Sure.", tokens=80 if "tools" in request else 50)  # noqa: E731
    given, seen = answers(longer, ASK, ASK)
    assert [answer.text for answer in given] == ["Sure."] * 2
    assert ["tools" in request for request in seen] == [True, False, True], "it is checked once"
    _, seen = answers(lambda request: said(tool_calls=[CALL]), ASK)
    assert len(seen) == 1, "a call is evidence enough"
    _, seen = answers(lambda request: said("Sure.", tokens=0), ASK)
    assert len(seen) == 1, "without numbers of tokens it is not known"


@pytest.mark.parametrize(
    "reply",
    [
        refusal(400, '"auto" tool choice requires --enable-auto-tool-choice to be set'),  # vLLM
        refusal(404, "No endpoints found that support tool use."),  # OpenRouter
        refusal(400, "m does not support tools"),  # Ollama
        refusal(400, "m does not support Function Calling"),  # DeepSeek
        refusal(500, "tools param requires --jinja flag"),  # llama.cpp
    ],
)
def test_a_server_that_refuses_tools_is_asked_in_no_other_form(reply: Reply) -> None:
    seen: list[dict[str, Any]] = []
    with pytest.raises(UserError, match=r"; start the server with a template and a parser"):
        answers(lambda request: seen.append(request) or reply, ASK)
    assert len(seen) == 1


def test_a_models_name_says_nothing_of_tools() -> None:
    with pytest.raises(UserError, match="check the url and the model's name"):
        answers(lambda request: refusal(404, "no model tool-llama"), ASK, model="tool-llama")


def test_a_refusal_in_the_middle_is_about_the_question() -> None:
    """The context of one episode is too long, and the others are answered in the same form."""

    def script(request: dict[str, Any]) -> Reply:
        if len(request["messages"]) > 2:
            return refusal(400, "maximum context length is 2048 tokens, tools included")
        return said(tool_calls=[CALL])

    async def ask(url: str) -> tuple[Fault, ChatAnswer]:
        asking = client(url)
        await asking.ask(ASK)
        with pytest.raises(Fault) as caught:
            await asking.ask(ASK._replace(messages=[*MESSAGES, *MESSAGES]))
        return caught.value, await asking.ask(ASK)

    with ScriptedEndpoint(script) as server:
        fault, answer = asyncio.run(ask(server.url))
        assert server.requests == 3
    assert fault.cause is Cause.REFUSED and fault.over_context
    assert answer.calls


def test_a_first_prompt_over_the_context_says_nothing_of_tools() -> None:
    reply = refusal(400, "the request exceeds the available context size, with its tools")
    with pytest.raises(Fault) as caught:
        answers(lambda request: reply, ASK)
    assert caught.value.cause is Cause.REFUSED and caught.value.over_context


def test_a_seed_that_is_refused_is_left_out() -> None:
    """Also if requests without one were answered before."""

    def script(request: dict[str, Any]) -> Reply:
        return refusal(422, "extra field: seed") if "seed" in request else said("x")

    request = ChatRequest(MESSAGES)
    given, seen = answers(script, request, request._replace(seed=1), request._replace(seed=2))
    assert len(given) == 3
    assert ["seed" in request for request in seen] == [False, True, False, False]


def test_a_system_message_moves_into_the_first_user_message() -> None:
    def script(request: dict[str, Any]) -> Reply:
        roles = [message["role"] for message in request["messages"]]
        return refusal(400, "System role not supported") if "system" in roles else said("x")

    later = [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
    _, seen = answers(script, ChatRequest([*MESSAGES, *later]))
    assert seen[-1]["messages"] == [{"role": "user", "content": "You act.\n\nList all."}, *later]


def test_a_server_that_dies_in_the_middle() -> None:
    replies = [Reply("a long answer", close_at=30), said("whole")]
    (answer,), _ = answers(lambda request: replies.pop(0), ChatRequest(MESSAGES), retries=2)
    assert answer.text == "whole"
    with pytest.raises(Fault) as caught:
        answers(lambda request: Reply("a long answer", close_at=30), ChatRequest(MESSAGES))
    assert caught.value.cause is Cause.DOWN


def test_a_server_that_loads_its_model_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than the tries, which begin when it is ready; then its answers are tried as usual."""
    loading = refusal(503, "Loading model", **{"Retry-After": "0"})
    replies, notices = [loading] * 5 + [refusal(503, "busy"), said("ready")], list[str]()
    script = lambda request: replies.pop(0)  # noqa: E731
    (answer,), seen = answers(script, ChatRequest(MESSAGES), retries=2, notice=notices.append)
    assert (answer.text, len(seen)) == ("ready", 7)
    assert len(notices) == 1 and "loads its model; waiting up to 600 s" in notices[0]
    monkeypatch.setattr(sending, "LOADING", 0.05)
    with pytest.raises(Fault) as caught:
        answers(lambda request: loading, ChatRequest(MESSAGES), ChatRequest(MESSAGES))
    assert caught.value.cause is Cause.DOWN and "Loading model" in caught.value.detail


def test_the_usage_counts_every_try() -> None:
    replies = [refusal(500), refusal(429), said("x")]
    spent = Usage()

    async def ask(url: str) -> Usage:
        asking = client(url, retries=3)
        await asking.ask(ChatRequest(MESSAGES, role="player"), spent)
        assert asking.ledger.counts["player: tried"] == 3
        return spent

    with ScriptedEndpoint(lambda request: replies.pop(0)) as server:
        asyncio.run(ask(server.url))
    assert (spent.tries, spent.tokens_in, spent.tokens_out) == (3, 50, 7)


def test_the_limit_of_bytes_grows_with_the_tokens() -> None:
    """Log-probabilities make a long answer large; a flood is refused in any case."""
    tokens = [{"token": "x", "logprob": -0.1, "bytes": [1], "top_logprobs": []}] * 4000
    body = json.loads(said("x").body or b"")
    body["choices"][0]["logprobs"] = {"content": tokens}
    reply = Reply(body=json.dumps(body).encode())
    request = ChatRequest(MESSAGES, max_tokens=4000, logprobs=True)
    assert len(reply.body or b"") > 256_000
    (answer,), _ = answers(lambda seen: reply, request)
    assert len(answer.logprobs or ()) == 4000
    with pytest.raises(Fault) as caught:
        answers(lambda seen: Reply(endless=b" 1234567" * 99), request)
    assert caught.value.cause in (Cause.TOO_LONG, Cause.REPEATS)


def test_the_key_is_in_no_part_of_an_answer() -> None:
    hidden = "".join(f"\\u{ord(letter):04x}" for letter in KEY).encode()  # JSON may be so written
    call = {"id": "KEY", "function": {"name": "KEY", "arguments": '{"a": "KEY"}'}}
    body = said("KEY", tool_calls=[call], reasoning="KEY").body or b""
    (answer,), _ = answers(lambda request: Reply(body=body.replace(b"KEY", hidden)), ASK)
    assert KEY not in repr(answer) and repr(answer).count("***") == 5


def test_no_more_at_once_than_allowed_and_a_cancelled_question_ends() -> None:
    async def ask(url: str, server: ScriptedEndpoint) -> None:
        asking = client(url, parallel=3, timeout=3600.0)
        await asking.ask(ChatRequest(MESSAGES[1:]))  # the first one goes alone
        tasks = [asyncio.ensure_future(asking.ask(ASK)) for _ in range(9)]
        while server.under_way < 3:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended)
        assert asking.ledger.progress.under_way == 0
        assert server.highest == 3
        assert (await asking.ask(ChatRequest(MESSAGES[1:]))).text == "x", "its places are free"
        await asking.aclose()

    hang = lambda request: Reply(hang=True) if "tools" in request else said("x")  # noqa: E731
    with ScriptedEndpoint(hang) as server:
        asyncio.run(asyncio.wait_for(ask(server.url, server), 60))
    assert server.requests == 5


def completion(choice: dict[str, Any], written: int) -> Reply:
    usage = {"prompt_tokens": 3, "completion_tokens": written}
    choices = [{"index": 0, "text": "ab", "finish_reason": "stop", **choice}]
    return Reply(body=json.dumps({"choices": choices, "usage": usage}).encode())


VLLM = {"token_ids": [5, 6], "logprobs": {"tokens": ["a", "b"], "token_logprobs": [-0.1, -2]}}
LLAMA = {"logprobs": {"content": [{"id": 5, "logprob": -0.1}, {"id": 6, "logprob": -2.0}]}}


def continued(reply: Reply) -> tuple[IdsAnswer, list[dict[str, Any]]]:
    seen: list[dict[str, Any]] = []

    async def ask(url: str) -> IdsAnswer:
        return await client(url).complete(IdsRequest([1, 2, 3], stop_ids=[6], seed=4))

    with ScriptedEndpoint(lambda request: seen.append(request) or reply) as server:
        return asyncio.run(ask(server.url)), seen


@pytest.mark.parametrize("choice", [VLLM, LLAMA])
def test_ids_in_ids_and_log_probabilities_out(choice: dict[str, Any]) -> None:
    answer, (seen,) = continued(completion(choice, 2))
    assert (answer.ids, answer.logprobs) == ((5, 6), (-0.1, -2.0))
    assert (answer.tokens_in, answer.tokens_out, answer.reason) == (3, 2, "stop")
    assert (seen["prompt"], seen["stop_token_ids"], seen["seed"]) == ([1, 2, 3], [6], 4)
    assert seen["return_token_ids"] is True and seen["logprobs"] == 1


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ({}, 2),
        ({"token_ids": [5, 6]}, 2),
        ({**VLLM, "token_ids": [5]}, 2),
        (VLLM, 3),
        ({"logprobs": {"content": [{"token": "a", "logprob": -0.1}]}}, 1),
    ],
)
def test_a_server_without_ids_is_refused(choice: dict[str, Any], written: int) -> None:
    """It would train or judge on tokens that the model has not written."""
    with pytest.raises(UserError, match=r"/v1: the response has .* ids .*; serve the model with"):
        continued(completion(choice, written))


def test_the_example_of_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "endpoints.md").read_text("utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    with ScriptedEndpoint(lambda request: said(tool_calls=[CALL])) as server:
        exec(code.replace("http://127.0.0.1:8000/v1", server.url), {})
    assert "RawCall(id='c1', name='ls'" in capsys.readouterr().out


LOOK_UP = """
import signal, socket, threading
from rods.endpoint.config import EndpointConfig
from rods.synthesis.llm.endpoint import Endpoint, Prompt
from rods.synthesis.llm.forms import Query

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background

def never(*more, **most):
    print("looks up", flush=True)
    threading.Event().wait()

socket.getaddrinfo = never
Endpoint(EndpointConfig(url="http://model.invalid/v1", model="m", timeout=3600.0)).ask(
    Prompt("plan", "1", "a", "b"), Query)
"""


def test_the_program_ends_while_a_name_is_looked_up() -> None:
    """Such a look-up cannot be cancelled."""
    command = [sys.executable, "-c", LOOK_UP]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as job:
        assert job.stdout is not None and job.stdout.readline() == b"looks up\n"
        job.send_signal(signal.SIGINT)
        _, err = job.communicate(timeout=60)
    assert b"KeyboardInterrupt" in err and job.returncode in (-signal.SIGINT, 1, 130)


class Slow:
    """A server that answers in time only if few requests are under way. Counts those that are."""

    def __init__(self, most: int) -> None:
        self.most, self.seen, self.server = most, list[int](), ScriptedEndpoint(self)

    def __call__(self, request: dict[str, Any]) -> Reply:
        under_way = self.server.under_way
        self.seen.append(under_way)
        return Reply('{"a": 1}', delay=0.6 if under_way > self.most else 0.02)


async def all_answered(url: str, count: int, **config: Any) -> tuple[list[Any], Any]:
    """What so many questions at once get, and the client's places."""
    settings = {"timeout": 0.5, "retries": 8, "parallel": 16, **config}
    client = ChatClient(EndpointConfig(url=url, model="m", **settings), notice=lambda line: None)
    asked = ChatRequest(MESSAGES)
    found = await asyncio.gather(*(client.ask(asked) for _ in range(count)), return_exceptions=True)
    await client.aclose()
    return found, client._sender._places


def test_concurrency_is_halved_by_timeouts_until_the_server_keeps_up() -> None:
    slow = Slow(most=4)
    with slow.server as server:
        found, places = asyncio.run(all_answered(server.url, 60))
    assert all(isinstance(answer, ChatAnswer) for answer in found)
    late = sum(seen > slow.most for seen in slow.seen)
    assert late < 150, "with sixteen at once all the time there are more than 400"
    assert places.now < 16


def test_concurrency_grows_again_to_the_setting_and_not_above() -> None:
    late = iter([True] * 6)

    def script(request: dict[str, Any]) -> Reply:
        return Reply("{}", delay=0.6 if next(late, False) else 0)

    with ScriptedEndpoint(script) as server:
        found, places = asyncio.run(all_answered(server.url, 60, parallel=6))
    assert all(isinstance(answer, ChatAnswer) for answer in found)
    assert places.now == 6


def test_requests_that_time_out_together_halve_once() -> None:
    async def used() -> list[int]:
        places, found = Places(16), list[int]()
        taken = [await places.take() for _ in range(16)]
        for each in taken:
            await places.give_back(each, answered=False, late=True)
        found.append(places.now)
        for _ in range(5):
            await places.give_back(await places.take(), answered=False, late=True)
        found.append(places.now)
        for _ in range(1 + 2):
            await places.give_back(await places.take(), answered=True, late=False)
        found.append(places.now)
        return found

    assert asyncio.run(used()) == [8, 1, 3]
