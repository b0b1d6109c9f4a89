"""Makes the renderer of a model, or says why it cannot and what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rods.envs.calls import CallError
from rods.errors import UserError
from rods.files.reading import read_text
from rods.renderers.chat import ChatRenderer, RendererFacts
from rods.renderers.dialects import Dialect, NativeTools, PromptedTools
from rods.renderers.notation import Notation
from rods.renderers.notations import NATIVE_NOTATIONS, Blocks, Thoughtful
from rods.renderers.settings import RendererSettings
from rods.renderers.template import ASKED, CALL, Chat, ChatTemplate, known_templates
from rods.renderers.tools import function_schema
from rods.task import ToolSpec

DATE = "26 Jul 2024"  # Llama 3.1 writes this one, Llama 3.2 otherwise the present day
TOOL = ToolSpec(name=CALL.name, owner="", parameters={"text": {"type": "string"}})
RESULT = {"role": "tool", "content": "dummy_result", "tool_call_id": "000000000"}
SYSTEM = {"role": "system", "content": "dummy_system"}
NATIVE, PROMPTED = "uctauctctuauuaau", "uauau"
"""Conversations with all that may follow an answer: results, a user after them, one user or two,
nothing. u: user, c: call, t: result, a: answer."""


def load_renderer(tokenizer: Any, settings: RendererSettings, label: str) -> ChatRenderer:
    """The renderer of the models with a tokenizer.

    Args:
        tokenizer: a fast one of `transformers`; it is not changed.
        label: begins the messages of errors.

    Raises:
        UserError: no chat template can be used; the message says what to do.
    """
    native = settings.dialect in ("auto", "native")
    tools = [function_schema(TOOL)] if native else None
    before = [SYSTEM] if settings.system or not native else []
    template = _appending(_template(tokenizer, settings, tools, label), before, tools)
    notation: Notation
    dialect: Dialect
    if tools:
        notation, dialect = _notation(template, tools), NativeTools(settings)
    else:
        notation = Thoughtful() if settings.dialect == "envtuning" else Blocks()
        dialect = PromptedTools(settings, notation)
    facts = RendererFacts(
        family=_name(template.text) or settings.template or "",
        dialect="native" if native else settings.dialect,
        notation=type(notation).__name__,
        template_sha256=hashlib.sha256(template.text.encode()).hexdigest(),
        chat_template_kwargs=dict(template.variables),
        tool_docs=settings.tool_docs,
        examples=0 if native else settings.examples,
        system=settings.system,
    )
    return ChatRenderer(template, dialect, notation, facts)


def _template(
    tokenizer: Any, settings: RendererSettings, tools: Sequence[Any] | None, label: str
) -> ChatTemplate:
    """The template that the settings name, or else the tokenizer's."""
    mend = "name a file in renderer.template"
    mend = f"set renderer.dialect=prompt or {mend}" if tools else mend
    if not isinstance(getattr(tokenizer, "added_tokens_decoder", None), dict):
        kind = type(tokenizer).__name__  # MistralCommonBackend, where mistral-common is installed
        raise UserError(
            f"{label}: {kind} applies no chat template; load it with mistral_format=False"
        )
    if name := settings.template:
        text = known_templates().get(name) or read_text(Path(name))
    else:
        try:
            text = tokenizer.get_chat_template(tools=tools)
        except ValueError:
            raise UserError(f"{label}: the model has no chat template; {mend}") from None
    variables = {"date_string": DATE, **settings.chat_template_kwargs}
    return ChatTemplate(tokenizer, text, variables, label, mend)


def _appending(template: ChatTemplate, before: Chat, tools: Sequence[Any] | None) -> ChatTemplate:
    """The template, or TRL's variant of it for training, if it never rewrites what it wrote."""
    try:
        _check(template, before, tools)
    except UserError:
        variant = known_templates().get(f"{_name(template.text)}_training")
        if variant is None:
            raise
        template = template.with_text(variant)
        _check(template, before, tools)
    return template


def _check(template: ChatTemplate, before: Chat, tools: Sequence[Any] | None) -> None:
    """Build a conversation as an episode does, and compare it with the template's own.

    Raises:
        UserError: the template fails, or the two differ.
    """
    kinds: dict[str, Mapping[str, Any]]
    kinds = {"u": ASKED, "c": template.called, "t": RESULT, "a": template.said}
    chat = [*before, *(kinds[kind] for kind in (NATIVE if tools else PROMPTED))]
    if tools:
        text = template.write(chat, tools)
        if not (TOOL.name in text.partition(ASKED["content"])[0] and RESULT["content"] in text):
            raise template.error("the chat template has no place for tools")
    spoken = [at for at, message in enumerate(chat) if message["role"] == "assistant"]
    ids = template.encode(chat[: spoken[0]], tools, cue=True)
    for at, until in zip(spoken, [*spoken[1:], len(chat)], strict=True):
        whole = template.encode(chat[: at + 1], tools)
        if whole[: len(ids)] != ids:
            raise template.error("the chat template rewrites earlier messages")
        ids = whole[: template.ended(whole)] + template.bridge(chat[at + 1 : until])
    if ids != template.encode(chat, tools, cue=True):
        raise template.error("the chat template rewrites earlier messages")


def _notation(template: ChatTemplate, tools: Sequence[Any]) -> Notation:
    """The notation that reads the template's own call."""
    cue = template.write([ASKED], tools, cue=True)
    text = template.write([ASKED, template.called], tools)[len(cue) :]
    answer = text.rpartition(template.tokenizer.convert_ids_to_tokens(template.end))[0]
    for notation in NATIVE_NOTATIONS:
        try:
            if notation.read(answer, {}) == [CALL]:
                return notation
        except CallError:
            continue
    raise template.error("calls as this chat template writes them cannot be read")


def _name(text: str) -> str:
    """The name of a known template, or ""."""
    return next((name for name, known in known_templates().items() if known == text), "")
