"""Durable state of a run: one SQLite file in its folder (docs/store.md).

Departure from the paper: trainer and synthesis exchange tasks through one SQLite file and not
through files of JSON lines with locks, so that each change is whole or not there.
"""
