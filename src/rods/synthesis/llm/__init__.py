"""Asking a language model behind an OpenAI-compatible endpoint, with every failure named."""
