"""Failures that a person can mend."""

from __future__ import annotations


class UserError(Exception):
    """Unusable input or surroundings. The command line prints it as one line and exits with 2.

    The message names the file or key at fault and says what to do about it.
    """
