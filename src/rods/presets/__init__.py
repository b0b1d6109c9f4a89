"""Shipped configurations: a preset in YAML, overridden by `--set a.b=c`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from rods.config import Config
from rods.errors import UserError, first_problem
from rods.files.reading import parse_yaml, put, read_override
from rods.policies.registry import DEFAULT


def preset_names() -> list[str]:
    """Shipped presets."""
    folder = files("rods") / "presets"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name[-5:] == ".yaml")


# Settings with an option of the command line.
OPTIONS = {
    "preset": "--preset",
    "seed": "--seed",
    "arm": "--arm",
    "environment.name": "--env",
    "environment.tasks": "--tasks",
}


def _preset(file: str) -> dict[str, Any]:
    """The settings of a shipped file, over those of the shared file that it extends."""
    data: dict[str, Any] = parse_yaml((files("rods") / "presets" / file).read_text("utf-8")) or {}
    shared = data.pop("extends", None)
    return _over(_preset(f"shared/{shared}.yaml"), data) if shared else data


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Settings with those of `above` in place of, or within, those of `below`."""
    both = below.keys() & above.keys()
    inner = {k: _over(below[k], above[k]) for k in both if isinstance(above[k], dict)}
    return {**below, **above, **inner}


def load_config(preset: str, overrides: Sequence[str] = (), **top: Any) -> Config:
    """A preset with `a.b=c` overrides applied.

    Args:
        overrides: values are read as YAML.
        top: fields that take precedence, by their path with "__" for the dot.

    Raises:
        UserError: no such preset, no such key, or a value that does not fit.
    """
    if preset not in preset_names():
        raise UserError(f"no preset {preset!r}; there are: {', '.join(preset_names())}")
    data = _preset(f"{preset}.yaml")
    changes = [(override, *read_override(override, "key.name")) for override in overrides]
    names = [value for _, key, value in changes if key == "policy.name"]
    if names and names[-1] != data.get("policy", {}).get("name", DEFAULT):
        data.pop("policy", None)  # the preset's settings are of another kind of policy
    for override, key, value in changes:
        if key in OPTIONS:
            raise UserError(f"--set {override}: use {OPTIONS[key]} for that")
        put(data, key, value, f"--set {override}")
    for path, value in top.items():
        put(data, path.replace("__", "."), value, path)
    try:
        return Config.model_validate({**data, "preset": preset})
    except ValidationError as error:
        problem = first_problem(error)
        raise UserError(
            f"preset {preset}: {problem}" if error.errors()[0]["loc"] else problem
        ) from None
