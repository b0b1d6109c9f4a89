"""A chat endpoint on this machine that does what a script says: answers, and every kind of fault.

    with ScriptedEndpoint(lambda request: Reply(text="hello")) as server:
        server.url, server.requests, server.highest

The script sees the request's JSON, with its headers, in small letters, under "headers". It is
called from a thread of each connection.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rods.endpoint.config import EndpointConfig
from rods.synthesis.llm.endpoint import Endpoint
from rods.synthesis.llm.journal import Journal


@dataclass(frozen=True)
class Reply:
    """What the server does with one request.

    Args:
        text: the words of the answer, in a chat completion.
        delay: seconds before anything is sent.
        status, headers, body: of the response; a body stands in place of the chat completion.
        drip: seconds between single bytes, from the byte `drip_from` of the whole response on.
        close_at: the connection is closed after so many bytes of the body.
        hang: nothing is sent until the server stops.
        raw: bytes in place of the whole response, after which the connection is closed.
        endless: a body of chunks that never ends.
    """

    text: str | None = ""
    delay: float = 0.0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    finish: str = "stop"
    drip: float = 0.0
    drip_from: int = 0
    close_at: int | None = None
    hang: bool = False
    raw: bytes = b""
    endless: bytes = b""
    tokens: tuple[int, int] = (10, 5)


def html(status: int = 200) -> Reply:
    """A web page where an answer should be."""
    page = b"<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>"
    return Reply(status=status, headers={"Content-Type": "text/html"}, body=page)


def refusal(status: int, message: str = "no", **headers: str) -> Reply:
    """An error as such servers tell it."""
    body = json.dumps({"error": {"message": message, "type": "error"}}).encode()
    return Reply(status=status, headers=headers, body=body)


def completion(reply: Reply) -> bytes:
    """The chat completion that says the reply's text."""
    tokens_in, tokens_out = reply.tokens
    message = {"role": "assistant", "content": reply.text}
    usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}
    choices = [{"index": 0, "message": message, "finish_reason": reply.finish}]
    data = {"id": "1", "object": "chat.completion", "created": 0, "model": "scripted"}
    return json.dumps({**data, "choices": choices, "usage": usage}).encode()


Script = Callable[[dict[str, Any]], Reply]


class ScriptedEndpoint:
    """The server, running inside its `with` block."""

    def __init__(self, script: Script) -> None:
        self.script, self.stopping = script, threading.Event()
        self.requests = self.under_way = self.highest = 0
        self.lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.endpoint = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def __enter__(self) -> ScriptedEndpoint:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def entered(self) -> None:
        with self.lock:
            self.requests += 1
            self.under_way += 1
            self.highest = max(self.highest, self.under_way)

    def left(self) -> None:
        with self.lock:
            self.under_way -= 1


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
    block_on_close = False
    endpoint: ScriptedEndpoint

    def handle_error(self, *_: object) -> None:
        """Clients that go away are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def do_POST(self) -> None:
        here = self.server.endpoint
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        here.entered()
        try:
            reply = here.script({**request, "headers": headers})
            stopped = here.stopping.wait(None if reply.hang else reply.delay)
        finally:
            here.left()  # before the answer: whoever has it may ask again at once
        if stopped:
            self.close_connection = True
        else:
            self._answer(reply, here.stopping.wait)

    def _answer(self, reply: Reply, wait: Callable[[float], bool]) -> None:
        body = completion(reply) if reply.body is None else reply.body
        headers = {"Content-Type": "application/json", **reply.headers}
        if reply.endless:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body))
        head = [f"HTTP/1.1 {reply.status} Scripted", *(f"{n}: {v}" for n, v in headers.items())]
        start = "\r\n".join([*head, "", ""]).encode()
        if reply.endless:
            self.wfile.write(start)
            chunk = b"%x\r\n%s\r\n" % (len(reply.endless), reply.endless)
            while not wait(0):
                self.wfile.write(chunk)
        elif reply.drip:
            whole = reply.raw or start + body
            self.wfile.write(whole[: reply.drip_from])
            for at in range(reply.drip_from, len(whole)):
                if wait(reply.drip):
                    break
                self.wfile.write(whole[at : at + 1])
        elif reply.close_at is not None:
            self.wfile.write(start + body[: reply.close_at])
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self.wfile.write(reply.raw or start + body)
            self.close_connection = self.close_connection or bool(reply.raw)


def endpoint(url: str, journal: Journal | None = None, **config: Any) -> Endpoint:
    """A client of such a server that tries each request once, unless the settings differ."""
    values: dict[str, Any] = {"model": "m", "timeout": 10.0, "retries": 1, **config}
    notice = values.pop("notice", lambda line: None)
    return Endpoint(EndpointConfig(url=url, **values), journal, notice)
