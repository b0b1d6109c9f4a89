"""`rods`, whose second process is given another file of tasks."""

import os
import sys

from rods.cli import main

if os.environ["RANK"] == "1":
    sys.argv[sys.argv.index("--tasks") + 1] = "other.jsonl"
main()
