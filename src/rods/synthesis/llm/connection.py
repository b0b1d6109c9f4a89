"""One request to the endpoint: an answer's words, or a fault with its cause."""

from __future__ import annotations

import os
from typing import Any

from rods.errors import UserError
from rods.synthesis.llm.config import EndpointConfig
from rods.synthesis.llm.fault import Cause, Fault, shortened
from rods.synthesis.llm.repetition import repeating
from rods.synthesis.llm.response import Words, refusal_of, retry_after, words_of

SECRET = 8  # shorter keys are placeholders such as EMPTY and may stand in any answer


class Connection:
    """Sends single requests; shared by threads.

    Raises:
        UserError: the extra is not installed, or the key cannot be sent.
    """

    def __init__(self, config: EndpointConfig) -> None:
        try:
            import httpx2
            import openai

            from rods.synthesis.llm.transport import Transport
        except ImportError:
            raise UserError(
                "a model endpoint needs the package openai: pip install 'rods[llm]'"
            ) from None
        key = os.environ.get(config.key_env, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise UserError(f"${config.key_env}: the key has characters that no header may have")
        self.config, self._key = config, key
        self._transport = Transport(config.url, config.parallel)
        self._client = openai.OpenAI(
            api_key=key or "none",
            base_url=config.url,
            max_retries=0,
            timeout=config.timeout,
            default_headers={"Accept-Encoding": "identity"},
            http_client=httpx2.Client(transport=self._transport, follow_redirects=False),
        )

    def send(self, system: str, user: str, response_format: dict[str, Any] | None) -> Words:
        """The answer to one prompt.

        Raises:
            Fault: there is none. Neither the key nor the request hangs on it.
        """
        got = self._post(system, user, response_format)
        if isinstance(got, Fault):
            got.detail = shortened(self._hide(got.detail))
            raise got
        return got

    def close(self) -> None:
        self._client.close()

    def _hide(self, text: str) -> str:
        """The text without the key."""
        return _whole(text.replace(self._key, "***") if self._key else text)

    def _clean(self, text: str) -> str:
        """The text without the key, unless it is so short that an answer may well have it."""
        return self._hide(text) if len(self._key) >= SECRET else _whole(text)

    def _post(
        self, system: str, user: str, response_format: dict[str, Any] | None
    ) -> Words | Fault:
        import httpcore2
        import httpx2
        import openai

        from rods.synthesis.llm.transport import Encoded, TooLong

        config = self.config
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [
                {"role": "system", "content": _whole(system)},
                {"role": "user", "content": _whole(user)},
            ],
            "temperature": config.temperature,
            "top_p": config.top_p,
            "max_tokens": config.max_tokens,
        }
        if response_format is not None:
            body["response_format"] = response_format
        try:
            with self._transport.clock.limit(config.timeout):
                # The typed method would walk through the schema anew for every question.
                answer = self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
            return words_of(answer.content, self._clean)
        except Fault as fault:
            return fault
        except TooLong as error:
            start = error.start.decode("utf-8", "replace")
            cause = Cause.REPEATS if repeating(start) else Cause.TOO_LONG
            return Fault(cause, f"more than {len(error.start)} bytes", text=self._clean(start))
        except Encoded:
            return Fault(Cause.NOT_CHAT, "the response is compressed")
        except openai.APIStatusError as error:
            wait = retry_after(error.response.headers.get("retry-after", ""))
            refused = refusal_of(error.status_code, error.response.text, wait, self._hide)
            if error.status_code in (401, 403):
                refused.detail = f"the key in ${config.key_env} is not accepted: {refused.detail}"
            return refused
        except (httpcore2.TimeoutException, openai.APITimeoutError):
            return Fault(Cause.TIMEOUT, f"no complete answer in {config.timeout:g} s")
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError) as error:
            return Fault(Cause.DOWN, self._hide(f"{type(error).__name__}: {error}"))
        except (openai.OpenAIError, OSError) as error:
            return Fault(Cause.DOWN, self._hide(f"{type(error).__name__}: {error}"))


def _whole(text: str) -> str:
    """The text without half characters, which cannot be sent or written."""
    return text.encode("utf-8", "replace").decode()
