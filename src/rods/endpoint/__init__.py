"""One asynchronous client for OpenAI-compatible servers, for synthesis and evaluation."""
