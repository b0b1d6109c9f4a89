"""An agent behind a chat endpoint: what is sent to the server, and how its answers are read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from rods.endpoint.client import ChatClient
from rods.endpoint.config import EndpointConfig
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks
from rods.renderers.notations import NATIVE_NOTATIONS
from rods.renderers.settings import RendererSettings
from rods.rollout.chat import ChatAgent, ChatSampling, ChatSeat
from rods.rollout.chat_answers import Fenced
from rods.rollout.episode import Ending, Episode, EpisodeLimits
from rods.rollout.runner import EpisodeRunner
from rods.task import Call, Task
from scripted_agent import raw, said
from scripted_endpoint import Reply, ScriptedEndpoint, refusal

BASE = benchmark_tasks()["multi_turn_base_1"]  # its first turn has one call, ls(a=True)
WITHHELD = benchmark_tasks()["multi_turn_miss_func_102"]
LS = BASE.turns[0].ground_truth


class Server:
    """Answers with what a script says, and remembers the requests.

    The client repeats a first request without tools, to see whether they are shown to the model;
    that is not remembered.
    """

    def __init__(self, script: Callable[[dict[str, Any], int], Reply], tools: bool = True) -> None:
        self.script, self.seen, self.tools = script, list[dict[str, Any]](), tools

    def __call__(self, request: dict[str, Any]) -> Reply:
        if self.tools and "tools" not in request:
            return said(request, "Done.")
        self.seen.append(request)
        return self.script(request, len(self.seen) - 1)


def play(
    server: Server, task: Task = BASE, limits: EpisodeLimits | None = None, **how: Any
) -> tuple[Episode, ChatSeat]:
    """One episode of a `ChatAgent`."""

    async def go(url: str) -> tuple[Episode, ChatSeat]:
        client = ChatClient(EndpointConfig(url=url, model="m", retries=1))
        agent = ChatAgent(client, how.get("settings", RendererSettings()), ChatSampling())
        (played,) = await EpisodeRunner(BfclEnvironment(), limits).play_with(agent, [task])
        await client.aclose()
        return played.episode, played.seat

    with ScriptedEndpoint(server) as endpoint:
        return asyncio.run(go(endpoint.url))


def gold(task: Task) -> Callable[[dict[str, Any], int], Reply]:
    """Answers with the ground truth of each turn, in one action."""
    pairs = [(turn.ground_truth, ()) for turn in task.turns]
    actions = [calls for called, end in pairs for calls in ((called, end) if called else (end,))]
    return lambda request, number: said(
        request, "" if actions[number] else "Done.", actions[number]
    )


def first(answer: Callable[[dict[str, Any]], Reply]) -> Server:
    """A server with this first answer, which then ends each turn."""
    return Server(lambda request, n: said(request, "Done.") if n else answer(request))


def function(arguments: Any, name: Any = "ls", i: Any = "1") -> dict[str, Any]:
    return {"id": i, "type": "function", "function": {"name": name, "arguments": arguments}}


BROKEN: dict[str, Any] = {
    "open object": [function('{"a": tru')],
    "no object": [function("[1]")],
    "text": [function('"a"')],
    "number": [function(5)],
    "twice": [function('{"a": true, "a": false}')],
    "more": [function('{"a": true} {"a": true}')],
    "deep": [function('{"a": ' + "[" * 200 + "]" * 200 + "}")],
    "very deep": [function('{"a": ' + "[" * 100_000)],
    "long": [function(json.dumps({"a": "x" * 30_000}))],
    "no name": [function("{}", "")],
    "name is no text": [function("{}", None)],
    "no function": [{"id": "1"}],
    "no list": "ls()",
    "one of two": [function('{"a": true}'), function('{"a": ')],
    "too many": [function("{}", i=str(i)) for i in range(1_001)],
}
WORDS = [
    '<tool_call>{"name": "ls", "arguments": {"a": tr',
    "<tool_call>\nls(a=True)\n</tool_call>",
    'I list. <tool_call>{"name": "ls", "arguments": {}}',
    '{"name": "ls", "arguments": {"a": true}',
    "[TOOL_CALLS]ls",
    "<|python_tag|>ls(a=True)",
    "<function=ls>{}</function>",
    '```json\n{"name": "ls", "arguments": {"a": }}\n```',
    '```json\n[{"name": "ls", "arguments": "a"}]\n```',
    '```json\n{"name": "ls", "arguments": {}}\n```\n<tool_call>',
    "ls(a=True)",
    "<think>I call ls",
    "x" * 20_001,
]


@pytest.mark.parametrize("calls", BROKEN.values(), ids=BROKEN)
def test_a_broken_call_is_malformed_and_ends_no_turn(calls: Any) -> None:
    server = first(lambda request: raw(request, "", calls))
    episode, seat = play(server)
    assert (episode.malformed, episode.calls[0]) == (1, [])
    back, error = server.seen[1]["messages"][-2:]
    assert back["role"] == "assistant" and "tool_calls" not in back
    assert error["role"] == "user" and error["content"].startswith("The answer cannot be read: ")
    assert len(error["content"]) < 400
    assert not seat.failure and episode.ending is Ending.ANSWERED


@pytest.mark.parametrize("text", WORDS)
def test_a_broken_call_in_the_text_is_malformed(text: str) -> None:
    episode, _ = play(first(lambda request: said(request, text)))
    assert (episode.malformed, episode.calls[0]) == (1, [])


@pytest.mark.parametrize("calls", [(), LS])
def test_an_answer_that_was_cut_off_is_malformed(calls: tuple[Call, ...]) -> None:
    server = first(lambda request: said(request, "I will", calls, finish="length"))
    episode, seat = play(server)
    assert (episode.malformed, episode.calls[0], seat.usage.cut_off) == (1, [], 1)
    assert "cut off" in server.seen[1]["messages"][-1]["content"]


def test_a_call_that_the_server_left_in_the_text_is_not_lost() -> None:
    rest = '<tool_call>{"name": "pwd", "arguments": {</tool_call>'
    episode, _ = play(first(lambda request: said(request, rest, LS)))
    assert (episode.malformed, episode.calls[0]) == (1, [])


@pytest.mark.parametrize("notation", [*NATIVE_NOTATIONS, Fenced()], ids=lambda n: type(n).__name__)
def test_calls_in_the_text_are_read(notation: Any) -> None:
    text = notation.write(LS)
    server = first(lambda request: said(request, text))
    episode, _ = play(server)
    assert (episode.malformed, episode.calls[0]) == (0, list(LS))
    assert episode.verdicts[0].passed
    back, result = server.seen[1]["messages"][-2:]
    assert back == {"role": "assistant", "content": text}
    assert result["role"] == "tool" and "current_directory_content" in result["content"]


@pytest.mark.parametrize(
    "text", ["Done.", "", " \n", "In JSON: {} and [].", 'It is\n```json\n{"files": ["a"]}\n```']
)
def test_words_end_a_turn(text: str) -> None:
    episode, _ = play(Server(lambda request, n: said(request, text)))
    assert (episode.malformed, episode.rounds) == (0, len(BASE.turns))
    assert episode.ending is Ending.ANSWERED


def test_a_call_of_an_unknown_tool_is_refused_and_counted() -> None:
    calls = [function("{}", "format_disk"), function('{"b": 1}'), function("", "pwd")]
    episode, _ = play(first(lambda request: raw(request, "", calls)))
    assert episode.malformed == 0 and episode.calls[0][0].name == "format_disk"
    assert episode.refusals == {"unknown tool": 1, "unknown argument": 1}
    assert episode.responses[2].startswith('{"current_working_directory"')


def test_calls_that_a_server_reads_unasked_remain_text_in_the_prompt_dialect() -> None:
    server = Server(lambda r, n: raw(r, "", [] if n else [function('{"a": true}')]), tools=False)
    episode, _ = play(server, settings=RendererSettings(dialect="prompt"))
    assert episode.verdicts[0].passed
    asked, result = server.seen[1]["messages"][-2:]
    assert asked["content"].startswith("<tool_call>") and "tool_calls" not in asked
    assert result["role"] == "user" and "<tool_response>" in result["content"]


def test_the_server_gets_its_own_ids_and_arguments_back() -> None:
    written = '{ "a" :true }'  # not as this package writes it
    calls = [function(written, i="abc123xyz"), function("", "pwd", "abc123xyA")]
    server = first(lambda request: raw(request, "Two calls.", calls))
    _, seat = play(server)
    asked, *results = server.seen[1]["messages"][1:]
    assert asked["content"] == "Two calls."
    assert [call["id"] for call in asked["tool_calls"]] == ["abc123xyz", "abc123xyA"]
    assert [c["function"]["arguments"] for c in asked["tool_calls"]] == [written, "{}"]
    assert [message["tool_call_id"] for message in results] == ["abc123xyz", "abc123xyA"]
    assert seat.messages()[1:4] == [asked, *results]


@pytest.mark.parametrize("ids", [("", ""), ("same", "same"), (None, 5)])
def test_ids_that_cannot_be_used_are_replaced(ids: tuple[Any, Any]) -> None:
    calls = [function('{"a": true}', i=ids[0]), function("{}", "pwd", ids[1])]
    server = first(lambda request: raw(request, "", calls))
    play(server)
    asked, *results = server.seen[1]["messages"][1:]
    named = [call["id"] for call in asked["tool_calls"]]
    assert all(named) and len({*named}) == 2
    assert [message["tool_call_id"] for message in results] == named


def test_calls_beyond_the_limit_leave_the_history() -> None:
    calls = [function("{}", "pwd", f"id{i}") for i in range(5)]
    server = first(lambda request: raw(request, "", calls))
    episode, _ = play(server, limits=EpisodeLimits(calls=2))
    assert len(episode.calls[0]) == 2
    asked, *results = server.seen[1]["messages"][1:]
    assert len(asked["tool_calls"]) == len(results) == 2


def test_restored_tools_are_offered_from_their_turn_on() -> None:
    server = Server(gold(WITHHELD))
    episode, _ = play(server, WITHHELD)
    assert episode.complete
    offered = [[t["function"]["name"] for t in request["tools"]] for request in server.seen]
    (name,) = WITHHELD.withheld
    turn = next(i for i, t in enumerate(WITHHELD.turns) if t.restores)
    for request, names in zip(server.seen, offered, strict=True):
        users = sum(message["role"] == "user" for message in request["messages"])
        assert (name in names) == (users > turn)
        assert names[: len(offered[0])] == offered[0]
    announced = [m for m in server.seen[-1]["messages"] if m["role"] == "user"][turn]
    assert name in announced["content"]


def test_thinking_is_kept_and_not_sent_back() -> None:
    def thinking(request: dict[str, Any], number: int) -> Reply:
        body = json.loads(said(request, "Done.").body or b"")
        body["choices"][0]["message"]["reasoning_content"] = f"thought {number}"
        return Reply(body=json.dumps(body).encode())

    server = Server(thinking)
    _, seat = play(server)
    assert "thought" not in json.dumps(server.seen)
    kept = [m["reasoning_content"] for m in seat.messages() if m["role"] == "assistant"]
    assert kept == [f"thought {i}" for i in range(len(BASE.turns))]


def test_requests_that_get_shorter_are_counted() -> None:
    """As from a server that cuts long prompts without an error."""

    def cutting(request: dict[str, Any], number: int) -> Reply:
        body = json.loads(said(request, "Done.").body or b"")
        body["usage"]["prompt_tokens"] = min(body["usage"]["prompt_tokens"], 2_000 - number)
        return Reply(body=json.dumps(body).encode())

    _, seat = play(Server(cutting))
    assert seat.usage.shortened == len(BASE.turns) - 1
    _, seat = play(Server(gold(BASE)))
    assert seat.usage.shortened == 0


def test_a_fault_of_the_server_is_the_agents_failure() -> None:
    server = Server(lambda r, n: said(r, "Done.") if n < 2 else refusal(422, "a message is odd"))
    episode, seat = play(server)
    assert "a message is odd" in str(seat.failure) and not seat.usage.spent
    assert len(episode.verdicts) < len(BASE.turns)


def test_the_settings_reach_the_server() -> None:
    settings = RendererSettings(tool_docs="short", system="Be brief.")
    server = Server(lambda request, n: said(request, "Done."))
    play(server, settings=settings)
    request = server.seen[0]
    assert request["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (request["temperature"], request["top_p"], request["max_tokens"]) == (0.0, 1.0, 1024)
    short = len(json.dumps(request["tools"]))
    play(server, settings=RendererSettings())
    assert len(json.dumps(server.seen[-1]["tools"])) > 1.5 * short
