"""Who may see the pages: this machine, or whoever knows the token."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rods.errors import UserError
from rods.report.document import HERE, environment
from rods.watch.places import ENTER, STATIC

TOKEN = "RODS_WATCH_TOKEN"
LEAST = 16  # characters of a token
MOST_FORM = 4_096  # bytes of the form with the token
COOKIE = "rods-watch"
LOCAL = ("localhost", "127.0.0.1", "[::1]")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def token_for(host: str) -> str:
    """The token that a listener on this address wants; "" on the loopback.

    Raises:
        UserError: the address is for other machines, and there is no token.
    """
    if _loopback(host):
        return ""
    token = os.environ.get(TOKEN, "").strip()
    if len(token) < LEAST:
        make = f"export {TOKEN}=$(openssl rand -hex 16)"
        message = f"other machines can reach it, so {TOKEN} must have {LEAST} characters"
        raise UserError(f"--host {host}: {message}: {make}")
    return token


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """Refuses requests of strangers, and sets the headers of all responses.

    Without a token only requests that name this machine are answered: a page of another site whose
    name leads to this machine cannot read the run. With a token a browser gets a cookie for it.
    """

    def __init__(self, app: ASGIApp, token: str = "") -> None:
        self.app, self.token = app, token
        self._session = secrets.token_urlsafe(24)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                pairs = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *pairs]
            await send(message)

        answer = await self._answer(Request(scope, receive))
        await (answer or self.app)(scope, receive, marked)

    async def _answer(self, request: Request) -> Response | None:
        """The response to a request that the pages do not answer; None for one that they do."""
        if request.method not in ("GET", "HEAD") and request.url.path != ENTER:
            return PlainTextResponse("the pages can only be read", 405)
        if not self.token:
            host = request.headers.get("host", "")
            name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
            return None if name in LOCAL else PlainTextResponse("not a name of this machine", 421)
        if request.url.path.startswith(STATIC) or self._known(request):
            return None
        if request.url.path != ENTER:
            return RedirectResponse(ENTER, 303)
        return await self._enter(request)

    def _known(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        return _same(request.cookies.get(COOKIE, ""), self._session) or _same(given, self.token)

    async def _enter(self, request: Request) -> Response:
        """The form for the token, and what is sent by it."""
        wrong = False
        if request.method == "POST":
            body = b""
            async for part in request.stream():
                body += part
                if len(body) > MOST_FORM:
                    return PlainTextResponse("too long", 413)
            found = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
            if _same(found.strip(), self.token):
                answer = RedirectResponse("/", 303)
                answer.set_cookie(COOKIE, self._session, httponly=True, samesite="strict")
                return answer
            wrong = True
        template = environment(HERE.parent / "watch").get_template("enter.html.j2")
        text = template.render(wrong=wrong, variable=TOKEN, run=None, version="")
        return Response(text, 403 if wrong else 200, media_type="text/html")


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())
