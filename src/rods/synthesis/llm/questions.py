"""A prompt as a request to the endpoint, and the text of its answer."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from rods.endpoint.answer import ChatAnswer, repeating
from rods.endpoint.config import EndpointConfig
from rods.endpoint.fault import Cause, Fault
from rods.endpoint.request import ChatRequest, Structure
from rods.errors import UserError, first_problem
from rods.synthesis.llm.answer_parts import AnswerParts
from rods.synthesis.llm.forms import response_format
from rods.synthesis.llm.journal import ANSWER
from rods.synthesis.llm.prompts import Prompt
from rods.synthesis.llm.tagged import form, to_tags

TAGS = """

Answer in exactly this form and write nothing else. Inside a block write &lt; for the sign <.

"""
WARMER = 0.3  # added to the temperature for each refused try, up to a temperature of 1
JSON = """

Answer with one JSON object, and write nothing else."""


def request_of(config: EndpointConfig, prompt: Prompt, answer: type[BaseModel]) -> ChatRequest:
    """The request for an answer of this form.

    Raises:
        UserError: the prompt's example does not have the form.
    """

    def heeded(given: ChatAnswer) -> bool:
        if given.cut or not given.text.strip():
            return given.cut or not given.others
        found = AnswerParts(given.text, answer)
        return bool(found.objects or found.blocks or found.fault or not found.words)

    schema = None if config.structured == "tags" else response_format(answer)
    words = "" if config.structured == "schema" else TAGS + form(answer)
    turns = (("system", prompt.system), ("user", prompt.user))
    messages = [{"role": role, "content": text} for role, text in turns]
    shown = JSON if prompt.example else ""
    structure = Structure(schema, words, shown, *_examples(prompt, answer), heeded)
    # At a low temperature a small model writes the words that were refused once more.
    warmer = round(config.temperature + WARMER * prompt.tries, 2)
    heat = min(warmer, max(config.temperature, 1.0)) if prompt.tries else None
    return ChatRequest(messages, structure=structure, temperature=heat, role=prompt.role)


def _examples(
    prompt: Prompt, answer: type[BaseModel]
) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """The prompt's example with its answer in JSON, and with its answer in tags."""
    if prompt.example is None:
        return None, None
    request, text = prompt.example
    try:
        made = answer.model_validate_json(text, by_alias=True, by_name=True)
    except ValidationError as error:
        raise UserError(f"{prompt.role}.j2: block 'example': {first_problem(error)}") from None
    return (request, text), (request, to_tags(made))


def words_of(answer: ChatAnswer) -> str:
    """The text of an answer.

    Raises:
        Fault: it is cut, empty, or too long for the journal.
    """
    text, tokens = answer.text, (answer.tokens_in, answer.tokens_out)
    if len(text) > ANSWER:
        raise Fault(Cause.TOO_LONG, f"more than {ANSWER} characters", text=text, tokens=tokens)
    if answer.cut:
        cause = Cause.REPEATS if repeating(text) else Cause.CUT_OFF
        raise Fault(cause, text[-300:], text=text, tokens=tokens)
    if not text.strip():
        fields = ", ".join(answer.others)[:100]
        hint = f"; there are some in {fields}" if fields else ""
        raise Fault(Cause.EMPTY, f"the answer has no words{hint}", tokens=tokens)
    return text
