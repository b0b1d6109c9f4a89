"""Renderers of real model families: their chat templates and their ways of writing calls."""
