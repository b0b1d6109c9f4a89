"""Classes of users, which the command line and the configuration name as `package.module:Class`."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from rods.errors import UserError, shown

MOST_SHOWN = 300  # characters of an error


def import_class(name: str, label: str, form: str, *, here: bool = True) -> type:
    """The class that `package.module:Class` names.

    Args:
        label: the message of an error begins with it.
        form: the message if it is no such name.
        here: modules of the current folder can be named too, unless an installed one has the same
            name.

    Raises:
        UserError: it is no such name, there is no such class, or it cannot be imported.
    """
    found = import_object(name, label, form, here=here, what="class")
    if not isinstance(found, type):
        raise UserError(_no_such(name, label, "class"))
    return found


def import_object(
    name: str, label: str, form: str, *, here: bool = True, what: str = "object"
) -> Any:
    """The object that `package.module:name` names; see `import_class`.

    Args:
        what: the object is called in messages.

    Raises:
        UserError: it is no such name, there is no such object, or it cannot be imported.
    """
    module, colon, attribute = name.strip().partition(":")
    if not (module and colon and attribute):
        raise UserError(f"{label}: {form}")
    if here and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, so that no file in it replaces an installed module
    try:
        loaded = importlib.import_module(module)
        found = getattr(loaded, attribute, None)
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        raise UserError(f"{label}: {module} cannot be imported: {problem(error)}") from None
    if found is None:
        raise UserError(_no_such(name, label, what))
    return found


def _no_such(name: str, label: str, what: str) -> str:
    module, _, attribute = name.strip().partition(":")
    file = getattr(sys.modules.get(module), "__file__", None) or "built in"
    return (
        f"{label}: {module} has no {what} {attribute!r} ({file}); if another file is meant, give"
        " it a name that no installed module has"
    )


def problem(error: BaseException) -> str:
    """The type and message of an error of a user's class: one bounded line without secrets."""
    return shown(f"{type(error).__name__}: {error}", MOST_SHOWN)
