"""Misbehaviours of model servers: each a script of a real HTTP server, and the outcome expected.

The sources are public threads about the named servers; a kind without a thread is named as such.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from scripted_endpoint import Reply, ScriptedEndpoint

__all__ = ["AGAIN", "ANSWERED", "AT_ONCE", "FINAL", "MODES", "Mode", "ScriptedEndpoint"]

Request = dict[str, Any]
FINAL = "Please list all the files here for me."
DRAFT = '{"query": "a draft"}'
GOOD = json.dumps({"query": FINAL})
TAGGED = f"<query>{FINAL}</query>"
ANSWERED, AGAIN, AT_ONCE = "answered", "again, then answered", "error at once"


class Mode(NamedTuple):
    """One misbehaviour.

    Attributes:
        script: what is done with a request, by its number from 1 on.
        expected: `ANSWERED`, `AGAIN`, `AT_ONCE` (no other question is asked), or the cause of
            every failure.
        says: must be in the words of the failure.
        requests: that three questions take at most.
    """

    script: Callable[[Request, int], Reply]
    expected: str
    says: str = ""
    requests: int = 3


def chat(content: Any, finish: Any = "stop", **message: Any) -> Reply:
    """A chat completion."""
    whole = {"role": "assistant", "content": content, **message}
    return body({"choices": [{"index": 0, "message": whole, "finish_reason": finish}]})


def body(data: Any, status: int = 200, **headers: str) -> Reply:
    """A response of JSON."""
    return Reply(status=status, body=json.dumps(data).encode(), headers=headers)


def streamed(*deltas: dict[str, Any], end: str = "data: [DONE]\n\n") -> Reply:
    """The events of a stream."""
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    text = ": a comment\n\n" + "".join(f"data: {json.dumps(event)}\n\n" for event in events) + end
    return Reply(body=text.encode(), headers={"Content-Type": "text/event-stream"})


def form(request: Request) -> str:
    """In which form the words are said that the request asks for."""
    return GOOD if "response_format" in request else TAGGED


def says(content: Any, finish: Any = "stop", **message: Any) -> Callable[[Request, int], Reply]:
    """Always the same answer."""
    return lambda request, number: chat(content, finish, **message)


def refuses(field: str, reply: Reply) -> Callable[[Request, int], Reply]:
    """Refuses requests that have a field; "system" means the role."""

    def script(request: Request, number: int) -> Reply:
        has = field in request or field in [turn["role"] for turn in request["messages"]]
        return reply if has else chat(form(request))

    return script


def every_second(reply: Reply) -> Callable[[Request, int], Reply]:
    """Each answer comes at the second try."""
    return lambda request, number: reply if number % 2 else chat(form(request))


def always(reply: Reply) -> Callable[[Request, int], Reply]:
    return lambda request, number: reply


def unless_forbidden(reply: Reply) -> Callable[[Request, int], Reply]:
    """Streams if the request does not say that it must not."""
    return lambda request, number: chat(GOOD) if request.get("stream") is False else reply


def raw(head: str, content: bytes) -> Reply:
    return Reply(raw=head.replace("\n", "\r\n").encode() + content)


HARMONY = "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>{}"
PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": DRAFT}]}]
LONG_AGO = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(0))
COMPLETE = chat(GOOD).body or b""
SPLIT = [GOOD[:9], GOOD[9:20], GOOD[20:]]

MODES: dict[str, Mode] = {
    # streams unless "stream": false is sent: jingyaogong/minimind#851, decolua/9router#3492
    "streams unless forbidden": Mode(unless_forbidden(streamed({"content": GOOD})), ANSWERED),
    # JSON with "data: [DONE]" behind it: unslothai/unsloth#6570
    "[DONE] behind JSON": Mode(always(Reply(body=COMPLETE + b"\n\ndata: [DONE]\n\n")), ANSWERED),
    # streams although the request forbids it; kind: gateways that know streams only
    "always streams": Mode(
        always(streamed({"role": "assistant"}, *({"content": part} for part in SPLIT))), ANSWERED
    ),
    "streams, no end": Mode(every_second(streamed({"content": GOOD[:20]}, end="")), AGAIN, "", 6),
    # with a schema the answer is in reasoning_content: vllm-project/vllm#48863, #50948
    "reasoning for a schema": Mode(
        lambda request, number: (
            chat(None, reasoning_content=GOOD) if "response_format" in request else chat(TAGGED)
        ),
        ANSWERED,
        requests=4,
    ),
    # the same in every form: kind of reasoning parsers that find no end of the thinking
    "reasoning only": Mode(says("", reasoning=DRAFT), "empty", "reasoning", 6),
    "thinking parts only": Mode(says(PARTS), "empty", "content of another type", 6),
    "thinking parts first": Mode(says([*PARTS, {"type": "text", "text": GOOD}]), ANSWERED),
    # a call of a tool that was not offered; kind: models trained to call
    "tool call": Mode(
        says(None, "tool_calls", tool_calls=[{"function": {"name": "f", "arguments": DRAFT}}]),
        "empty",
        "tool_calls",
        6,
    ),
    # errors within a 200: SWE-agent/mini-swe-agent#902, Aider-AI/aider#3550, decolua/9router#2727
    "429 in a 200": Mode(
        every_second(body({"error": {"message": "Rate limit exceeded", "code": 429}})), AGAIN, "", 6
    ),
    "429 as text in a 200": Mode(
        every_second(body({"error": {"message": "slow", "code": "429"}})), AGAIN, "", 6
    ),
    "429 by name in a 200": Mode(
        every_second(body({"error": {"message": "slow", "code": "rate_limit_exceeded"}})),
        AGAIN,
        "",
        6,
    ),
    "only words in a 200": Mode(
        every_second(body({"error": "429 Too Many Requests"})), AGAIN, "", 6
    ),
    # OpenRouter's documented form of an error after the answer has begun
    "502 in the choice": Mode(
        every_second(
            body(
                {
                    "choices": [
                        {
                            "error": {"code": 502, "message": "Provider disconnected"},
                            "message": {"role": "assistant", "content": DRAFT},
                            "finish_reason": "error",
                        }
                    ]
                }
            )
        ),
        AGAIN,
        "",
        6,
    ),
    "finish_reason error": Mode(every_second(chat(GOOD[:12], "error")), AGAIN, "", 6),
    "401 in a 200": Mode(
        always(body({"error": {"message": "Invalid token", "code": 401}})), AT_ONCE, "the key in"
    ),
    # vLLM's own form of an error, and FastAPI's, within a 200
    "object error in a 200": Mode(
        always(body({"object": "error", "message": "prompt too long", "code": 400})),
        "refused",
        "prompt too long",
        15,
    ),
    "detail in a 200": Mode(
        always(body({"detail": "prompt too long"})), "refused", "prompt too long", 15
    ),
    # a schema refused in words that name no field of ours: Gemini's endpoint; OpenRouter's 404
    "schema refused in a list": Mode(
        refuses(
            "response_format",
            body([{"error": {"code": 400, "message": 'Unknown name "additionalProperties"'}}], 400),
        ),
        ANSWERED,
        requests=4,
    ),
    "schema refused by 404": Mode(
        refuses(
            "response_format", body({"error": {"message": "No endpoints found", "code": 404}}, 404)
        ),
        ANSWERED,
        requests=4,
    ),
    "schema refused by 501": Mode(refuses("response_format", Reply(status=501)), AGAIN, "", 6),
    # templates of Gemma and Mistral: "System role not supported"
    "no system role": Mode(
        refuses("system", body({"object": "error", "message": "System role not supported"}, 400)),
        ANSWERED,
        requests=4,
    ),
    # OpenAI's reasoning models: max_tokens and temperature
    "max_completion_tokens": Mode(
        refuses(
            "max_tokens",
            body(
                {
                    "error": {
                        "message": "Use 'max_completion_tokens' instead.",
                        "param": "max_tokens",
                        "code": "unsupported_parameter",
                    }
                },
                400,
            ),
        ),
        ANSWERED,
        requests=4,
    ),
    "no temperature": Mode(
        refuses(
            "temperature",
            body({"error": {"message": "Unsupported value", "param": "temperature"}}, 400),
        ),
        ANSWERED,
        requests=4,
    ),
    "no top_p, unnamed": Mode(
        refuses("top_p", body({"message": "Validation error"}, 422)), ANSWERED, requests=7
    ),
    # drafts before the answer: odysseus-dev/odysseus#2420, sgl-project/sglang#9190
    "[THINK]": Mode(says(f"[THINK]maybe {DRAFT}[/THINK]{GOOD}"), ANSWERED),
    "<thinking>": Mode(says(f"<THINKING>maybe {DRAFT}</THINKING>\n{GOOD}"), ANSWERED),
    "◁think▷": Mode(says(f"◁think▷{DRAFT}◁/think▷{GOOD}"), ANSWERED),
    "<|begin_of_thought|>": Mode(
        says(f"<|begin_of_thought|>{DRAFT}<|end_of_thought|>{GOOD}"), ANSWERED
    ),
    "beginning lost": Mode(says(f"Maybe {DRAFT}. No.</think>{GOOD}"), ANSWERED),
    "harmony": Mode(says(HARMONY.format(DRAFT, GOOD) + "<|return|>"), ANSWERED),
    "harmony, no final": Mode(
        says(f"<|channel|>analysis<|message|>{DRAFT}<|end|>"), "empty", "thinking"
    ),
    # a draft in words that are no known mark
    "unknown marks": Mode(says(f"Draft: {DRAFT}\nFinal: {GOOD}"), "unreadable", "two different"),
    "marks in a string": Mode(
        lambda request, number: chat(json.dumps({"query": FINAL, "note": "</think>[THINK]"})),
        ANSWERED,
    ),
    "key twice": Mode(says('{"query": "a", "query": "b"}'), "unreadable", "twice"),
    # no such model, bad key, wrong path: y-router#7, claude-code-router#583
    "no such model": Mode(
        always(body({"object": "error", "message": "The model `m` does not exist."}, 404)),
        AT_ONCE,
        "The model `m` does not exist",
        5,
    ),
    "no permission": Mode(
        always(body({"detail": "No permission for this model"}, 403)), AT_ONCE, "No permission"
    ),
    "a web page as 404": Mode(
        always(Reply(status=404, body=b"<h1>Not Found</h1>")), AT_ONCE, "Not Found", 5
    ),
    # limits given as a date, and as an absurd number
    "Retry-After is a date": Mode(
        every_second(Reply(status=429, headers={"Retry-After": LONG_AGO})), AGAIN, "", 6
    ),
    "Retry-After is absurd": Mode(
        every_second(Reply(status=429, headers={"Retry-After": "9" * 500})), AGAIN, "", 6
    ),
    # kinds of HTTP
    "odd content type": Mode(
        always(Reply(body=COMPLETE, headers={"Content-Type": "text/html; charset=x"})), ANSWERED
    ),
    "HTTP/1.0": Mode(always(raw("HTTP/1.0 200 OK\n\n", COMPLETE)), ANSWERED),
    "byte order mark": Mode(always(Reply(body=b"\xef\xbb\xbf" + COMPLETE)), ANSWERED),
    "chunks end early": Mode(
        every_second(raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n40\n", COMPLETE[:20])),
        AGAIN,
        "",
        6,
    ),
    "gzip unasked": Mode(
        always(Reply(body=gzip.compress(COMPLETE), headers={"Content-Encoding": "gzip"})),
        "not a chat answer",
        "compressed",
    ),
    "redirect": Mode(
        always(Reply(status=307, headers={"Location": "http://elsewhere/v1"})),
        "refused",
        "http://elsewhere/v1",
    ),
    # kinds of odd answers
    "no choices": Mode(always(body({"choices": None, "usage": None})), "not a chat answer"),
    "empty choices": Mode(always(body({"choices": []})), "not a chat answer"),
    "refusal field": Mode(says(None, refusal="I can't help."), "refused", "I can't help."),
    "odd usage": Mode(
        always(
            body(
                {
                    "choices": [{"message": {"content": GOOD}}],
                    "usage": {"prompt_tokens": "12", "completion_tokens": 10**30},
                }
            )
        ),
        ANSWERED,
    ),
    "cut by max_tokens": Mode(says(GOOD[:-3], "MAX_TOKENS"), "cut off"),
}
