"""Settings of a renderer. No library of models is imported here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from rods.files.reading import Setting

Dialect = Literal["auto", "native", "envtuning", "prompt"]
ToolDocs = Literal["full", "short"]


class RendererSettings(Setting):
    """How conversations are written for a model."""

    dialect: Dialect = Field(
        "auto",
        description="how the model is shown tools and writes calls; auto: native, as its template"
        " writes them",
    )
    template: str | None = Field(
        None,
        description="instead of the tokenizer's chat template: a Jinja file, or the name of one"
        " of TRL or mistral-v13",
    )
    chat_template_kwargs: dict[str, JsonValue] = Field(
        {}, description="variables of the template, such as enable_thinking"
    )
    tool_docs: ToolDocs = Field(
        "full", description="documents of tools in the prompt; short: names, types and one sentence"
    )
    examples: int = Field(
        0, ge=0, description="tools whose call the prompt shows; not with native calls"
    )
    system: str | None = Field(None, description="the system message, if the task has none")
