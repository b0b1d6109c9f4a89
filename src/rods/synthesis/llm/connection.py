"""Single requests to the endpoint: the answer's text, or a fault with its cause."""

from __future__ import annotations

import os
import threading
from typing import Any

from rods.errors import UserError
from rods.extras import MODEL, require
from rods.synthesis.llm.config import EndpointConfig
from rods.synthesis.llm.fault import Cause, Fault, shortened
from rods.synthesis.llm.refusal import refusal_of, retry_after
from rods.synthesis.llm.request import whole
from rods.synthesis.llm.response import AnswerText, repeating, words_of

SECRET = 8  # characters; shorter keys are placeholders such as EMPTY, which any answer may contain


class Connection:
    """Sends single requests; shared by threads.

    Args:
        stopped: ends requests that are under way.

    Raises:
        UserError: the extra is not installed, or the key cannot be sent.
    """

    def __init__(self, config: EndpointConfig, stopped: threading.Event) -> None:
        require(*MODEL)
        import httpx2
        import openai

        from rods.synthesis.llm.transport import Transport

        key = os.environ.get(config.key_env, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise UserError(f"${config.key_env}: the key has characters that no header may have")
        self.config, self._key = config, key
        self._transport = Transport(config.url, config.parallel, stopped)
        self._client = openai.OpenAI(
            api_key=key or "none",
            base_url=config.url,
            max_retries=0,
            timeout=config.timeout,
            default_headers={"Accept-Encoding": "identity"},
            http_client=httpx2.Client(transport=self._transport, follow_redirects=False),
        )

    def send(self, body: dict[str, Any]) -> AnswerText:
        """The answer to one request.

        Raises:
            Fault: there is none. It contains neither the key nor the request.
            KeyboardInterrupt: the endpoint was stopped.
        """
        got = self._post(body)
        if isinstance(got, Fault):
            if got.status in (401, 403):
                named = f"the key in ${self.config.key_env} is not accepted"
                got.detail = f"{named}: {got.detail}"
            got.detail = shortened(self._hide(got.detail))
            raise got
        return got

    def close(self) -> None:
        self._client.close()

    def _hide(self, text: str) -> str:
        """The text without the key."""
        return whole(text.replace(self._key, "***") if self._key else text)

    def _clean(self, text: str) -> str:
        """The text without the key, unless the key is so short that answers may contain it."""
        return self._hide(text) if len(self._key) >= SECRET else whole(text)

    def _post(self, body: dict[str, Any]) -> AnswerText | Fault:
        import httpcore2
        import httpx2
        import openai

        from rods.synthesis.llm.transport import Encoded, TooLong

        config = self.config
        try:
            with self._transport.clock.limit(config.timeout):
                # The typed method would process the schema again for every question.
                answer = self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
            return words_of(answer.content, self._clean)
        except Fault as fault:
            return fault
        except TooLong as error:
            start = error.start.decode("utf-8", "replace")
            cause = Cause.REPEATS if repeating(start) else Cause.TOO_LONG
            message = ", streamed although it should not be" if start.startswith("data:") else ""
            detail = f"more than {len(error.start)} bytes{message}"
            return Fault(cause, detail, text=self._clean(start))
        except Encoded:
            return Fault(Cause.NOT_CHAT, "the response is compressed")
        except openai.APIStatusError as error:
            return self._refused(error.status_code, error.response)
        except (httpcore2.TimeoutException, openai.APITimeoutError):
            return Fault(Cause.TIMEOUT, f"no complete answer in {config.timeout:g} s")
        except httpcore2.ConnectError as error:
            message = self._hide(f"no connection{self._transport.through}: {error}")
            return Fault(Cause.DOWN, message, unreachable=True)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError) as error:
            return Fault(Cause.DOWN, self._hide(f"{type(error).__name__}: {error}"))
        except (openai.OpenAIError, OSError) as error:
            return Fault(Cause.DOWN, self._hide(f"{type(error).__name__}: {error}"))

    def _refused(self, status: int, response: Any) -> Fault:
        """The fault that a bad status means."""
        if 300 <= status < 400:
            location = self._hide(response.headers.get("location", "another address"))
            message = f"status {status}: it leads to {location}; write its address as the url"
            return Fault(Cause.REFUSED, message, status=status)
        wait = retry_after(response.headers.get("retry-after", ""))
        return refusal_of(status, response.text, self._hide, wait)


class FirstQuestion:
    """Lets one thread ask first, while the others wait; shared by threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = self._busy = False
        self._unusable = [""]

    def enter(self) -> None:
        """Wait until this question may be asked; every call is followed by `leave`.

        Raises:
            UserError: the first question has shown that the endpoint is unusable.
        """
        with self._changed:
            known = self._unusable
            self._changed.wait_for(
                lambda: self._open or not self._busy or self._unusable is not known
            )
            if self._unusable is not known:
                raise UserError(self._unusable[0])
            self._busy = True

    def leave(self, unusable: str = "") -> None:
        """Let the next question start, or make all that wait fail."""
        with self._changed:
            self._busy = False
            if unusable and not self._open:
                self._unusable = [unusable]
            self._changed.notify_all()

    def open(self) -> None:
        """Let all questions start from now on."""
        if not self._open:
            with self._changed:
                self._open = True
                self._changed.notify_all()
