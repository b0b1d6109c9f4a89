"""The first questions of an endpoint go one by one, until something is known of it."""

from __future__ import annotations

import threading

from rods.errors import UserError


class First:
    """Holds the other threads back while one asks; shared by threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = self._busy = False
        self._unusable = [""]

    def enter(self) -> None:
        """Wait until this question may be asked; every call is followed by `leave`.

        Raises:
            UserError: the question that went ahead has shown that the endpoint is unusable.
        """
        with self._changed:
            known = self._unusable
            self._changed.wait_for(
                lambda: self._open or not self._busy or self._unusable is not known
            )
            if self._unusable is not known:
                raise UserError(self._unusable[0])
            self._busy = True

    def leave(self, unusable: str = "") -> None:
        """Let the next question go on, or fail all that wait."""
        with self._changed:
            self._busy = False
            if unusable and not self._open:
                self._unusable = [unusable]
            self._changed.notify_all()

    def open(self) -> None:
        """Let all go on from now on."""
        if not self._open:
            with self._changed:
                self._open = True
                self._changed.notify_all()
