"""Arms: the configurations of `rods train` that are compared, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter

from rods.config import Arm
from rods.errors import UserError
from rods.files.reading import Setting, parse_yaml, read_checked

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("an arm's name has at most 40 letters, digits, dots, dashes, underscores")
    return name


ArmName = Annotated[str, AfterValidator(_name)]
"""The name of an arm, which is a part of the names of files."""


class ArmSetup(Setting):
    """One arm: a name, and what `rods train` is called with."""

    text: str = Field(description="what the arm is, in one line")
    arm: Arm = Field(description="--arm of rods train")
    set: tuple[str, ...] = Field(
        (), description="settings as key=value; they take precedence over the comparison's own"
    )

    def same(self, other: ArmSetup) -> bool:
        """Whether both configure the same runs."""
        return (self.arm, self.set) == (other.arm, other.set)


Arms = dict[str, ArmSetup]
_ARMS: TypeAdapter[Arms] = TypeAdapter(dict[ArmName, ArmSetup])


def shipped() -> Arms:
    """The arms that are part of the package."""
    text = (files("rods") / "comparison" / "arms.yaml").read_text("utf-8")
    return _ARMS.validate_python(parse_yaml(text))


def read_arms(path: Path) -> Arms:
    """The arms of a YAML file: name -> {text, arm, set}.

    Raises:
        UserError: it is unreadable or no such file; the message names file and field.
    """
    return read_checked(path, parse_yaml, _ARMS.validate_python)


def known_arms(file: Path | None) -> Arms:
    """The shipped arms and those of the user's file, if there is one.

    Raises:
        UserError: see `read_arms`; or an arm of the file has a shipped arm's name.
    """
    known, own = shipped(), read_arms(file) if file else {}
    for name in own:
        if name in known:
            raise UserError(f"{file}: {name}: there is a shipped arm of this name; use another one")
    return known | own


def chosen(names: Sequence[str], known: Mapping[str, ArmSetup]) -> Arms:
    """The named arms, in the order of the names.

    Raises:
        UserError: a name is unknown or is given twice.
    """
    for place, name in enumerate(names):
        if name not in known:
            raise UserError(f"--arms {name}: no such arm; there are: {', '.join(known)}")
        if name in names[:place]:
            raise UserError(f"--arms {name}: is given twice")
    return {name: known[name] for name in names}
