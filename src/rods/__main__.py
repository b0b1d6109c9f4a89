"""`python -m rods`."""

from rods.cli import main

main()
