"""The command line: one thin command for each verb.

Exit 0 on success, 1 where `verify` or `envs check` finds faults, 2 on unusable input or output,
128 + n after signal n, 141 if the reader of the output closed it.
"""

import signal
import sys


def main() -> None:
    """Entry point. Ctrl-C ends it without a message, also while the commands are loaded."""
    try:
        from rods.cli.commands import run

        run()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
