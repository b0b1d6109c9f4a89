"""`python -m rods`."""

import os
import sys
from contextlib import suppress

with suppress(OSError):  # the current folder is gone
    if sys.path[0] == os.getcwd():  # put there by Python; last, it shadows no library's module
        sys.path.append(sys.path.pop(0))

from rods.cli import main

if __name__ == "__main__":
    main()
