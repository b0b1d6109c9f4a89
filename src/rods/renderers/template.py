"""A chat template: messages to token ids.

The ids that follow an answer are found by difference: the template is applied to a short dummy
conversation with the new messages and without them. So their cost does not depend on the length of
the conversation, and no id of the conversation is computed again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from rods.errors import UserError, shown
from rods.extras import package_folder
from rods.imports import problem
from rods.task import Call

Chat = Sequence[Mapping[str, Any]]
SHIPPED = Path(__file__).parent / "templates"
COPY = Path(sys.prefix) / "share" / "trl" / "trl"
"""TRL's files where they cannot be imported: verl fails if it finds TRL."""
OTHER_STOPS = ("<|eom_id|>", "<|endoftext|>", "<|end_of_text|>")
"""Other tokens with which models end an answer."""
CALL = Call(name="dummy_tool", arguments={"text": "dummy"})
ASKED = {"role": "user", "content": "dummy_request"}
SAID = {"role": "assistant", "content": "dummy_answer"}
CALLED = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "000000000", "type": "function", "function": CALL.model_dump()}],
}


@cache
def known_templates() -> dict[str, str]:
    """The text of each template that TRL or this package has, by its name.

    Raises:
        UserError: TRL is not installed.
    """
    folders = (_trl() / "chat_templates", SHIPPED)
    files = [file for folder in folders for file in folder.glob("*.jinja")]
    return {file.stem: file.read_text(encoding="utf-8") for file in files}


def _trl() -> Path:
    """The folder of TRL's package, or of its copy for an environment in which it is not installed.

    Raises:
        UserError: there is neither.
    """
    return COPY if COPY.exists() else package_folder("trl")


class ChatTemplate:
    """A chat template with its tokenizer.

    Args:
        tokenizer: a fast one of `transformers`.
        text: the template.
        variables: further variables of the template.
        label: begins the messages of errors.
        mend: ends them.

    Attributes:
        thinks: whether the cue to answer begins a thought.
        said: an answer without calls, and `called` one with a call.
        end: id of the token that ends an answer.
        stops: ids of all tokens that may end an answer, beginning with `end`.

    Raises:
        UserError: the template fails, or ends an answer with no token.
    """

    def __init__(
        self, tokenizer: Any, text: str, variables: Mapping[str, Any], label: str, mend: str
    ) -> None:
        self.tokenizer, self.text, self.variables = tokenizer, text, variables
        self._label, self._mend = label, mend
        added = {token.content: i for i, token in tokenizer.added_tokens_decoder.items()}
        self._control = re.compile("|".join(map(re.escape, added)) or "(?!)")
        self.thinks = self.write([ASKED], cue=True).rstrip().endswith("<think>")
        thought = {"reasoning_content": "dummy_thought"} if self.thinks else {}
        self.said, self.called = SAID | thought, CALLED | thought
        self.end = self._end(set(added.values()))
        others = [added[name] for name in OTHER_STOPS if name in added]
        ends = (self.end, tokenizer.eos_token_id, *others)
        self.stops = tuple(dict.fromkeys(i for i in ends if i is not None))

    def with_text(self, text: str) -> ChatTemplate:
        """Another template for the same tokenizer."""
        return ChatTemplate(self.tokenizer, text, self.variables, self._label, self._mend)

    def write(self, chat: Chat, tools: Sequence[Any] | None = None, cue: bool = False) -> str:
        """The conversation as text.

        Args:
            tools: as `function_schema` makes them.
            cue: whether the cue to answer follows.

        Raises:
            UserError: the template fails on a message.
        """
        return str(self._apply(chat, tools, cue, tokenize=False))

    def encode(
        self,
        chat: Chat,
        tools: Sequence[Any] | None = None,
        cue: bool = False,
        environment: Iterable[str] = (),
    ) -> list[int]:
        """The conversation as ids.

        Args:
            environment: texts in it that are not ours. If one has the name of a control token, all
                such names in the messages are encoded as text.

        Raises:
            UserError: see `write`.
        """
        if any(map(self._control.search, environment)):
            # It fails if the tokenizer makes a control token of plain text too.
            with suppress(UserError):
                return list(self._apply(chat, tools, cue, sanitize_control_tokens=True))
        return list(self._apply(chat, tools, cue))

    def bridge(self, chat: Chat, environment: Iterable[str] = ()) -> list[int]:
        """The ids that follow an answer's last one: the messages, and the cue to answer.

        Raises:
            UserError: the template fails on a message, or writes the answer before it otherwise.
        """
        before = [ASKED, self.called if chat and chat[0]["role"] == "tool" else self.said]
        known = self.encode(before)
        whole = self.encode([*before, *chat], None, True, environment)
        size = self.ended(known)
        if whole[:size] != known[:size]:
            raise self.error("the chat template rewrites an answer when messages follow it")
        return whole[size:]

    def ended(self, ids: Sequence[int]) -> int:
        """The number of ids up to the last end of an answer.

        Raises:
            UserError: no answer has ended.
        """
        if self.end not in ids:
            raise self.error("the chat template does not end each answer with the same token")
        return len(ids) - ids[::-1].index(self.end)

    def error(self, what: str) -> UserError:
        """An error of this template."""
        return UserError(f"{self._label}: {what}; {self._mend}")

    def _apply(self, chat: Chat, tools: Any, cue: bool, **chosen: Any) -> Any:
        try:
            return self.tokenizer.apply_chat_template(
                [dict(message) for message in chat],
                tools=tools,
                chat_template=self.text,
                add_generation_prompt=cue,
                return_dict=False,
                **chosen,
                **self.variables,
            )
        except Exception as error:  # whatever the template's code raises
            roles = " ".join(str(message["role"]) for message in chat[-4:])
            why = f"the chat template fails on messages of {roles}: {problem(error)}"
            raise self.error(why) from None

    def _end(self, added: set[int]) -> int:
        """The first token behind an answer's text."""
        tail = self.write([ASKED, self.said]).rpartition(self.said["content"])[2]
        ids = self.tokenizer.encode(tail, add_special_tokens=False)
        if not ids:
            raise self.error("the chat template writes no token that ends an answer")
        if ids[0] not in added:
            raise self.error(
                f"the chat template ends an answer with {shown(tail, 20)!r}, which is no token of"
                " the tokenizer"
            )
        return int(ids[0])
