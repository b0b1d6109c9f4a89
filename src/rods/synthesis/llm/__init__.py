"""Stages of synthesis by a language model behind an OpenAI-compatible endpoint."""
