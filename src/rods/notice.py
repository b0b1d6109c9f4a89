"""Where notices go by default: into the log of the library."""

from __future__ import annotations

import logging
from collections.abc import Callable

tell_log: Callable[[str], None] = logging.getLogger("rods").warning
