"""Durable state of a run: one SQLite file in its folder (docs/store.md)."""
