"""What all sections of settings have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from rods.errors import UserError
from rods.plain_data import ReadError
from rods.reading import parse_yaml


class Setting(BaseModel):
    """A section of settings: no other fields, finite numbers, and true or false is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_as_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind in (int, float, int | None, float | None):
            raise ValueError("must be a number, not true or false")
        return value


def read_override(override: str, form: str) -> tuple[str, Any]:
    """Key and value of a `--set key=value`; the value is read as YAML.

    Args:
        form: of the key, for messages.

    Raises:
        UserError: it is of another form, or the value is not YAML.
    """
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"--set {override}: write it as {form}=value")
    try:
        return key, parse_yaml(text)
    except ReadError as error:
        raise UserError(f"--set {override}: {error.message}") from None


def put(data: dict[str, Any], key: str, value: Any, option: str) -> None:
    """Set what stands at a key with dots.

    Args:
        option: for messages.

    Raises:
        UserError: a part of the key names what has no keys.
    """
    *path, last = key.split(".")
    for part in path:
        data = data.setdefault(part, {})
        if not isinstance(data, dict):
            raise UserError(f"{option}: {part} has no keys of its own")
    data[last] = value
