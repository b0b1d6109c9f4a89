"""`rods`, with TRL's client of a vLLM server against a scripted server.

TRL's code runs as it is: `GRPOTrainer`, `VLLMGeneration`, `VLLMClient`. Pretended are the package
vLLM, the transfer of weights by NCCL (a copy in this process) with the GPU that it asks for, and
the engine: the server samples from a stock model with the weights that were sent to it.
"""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import torch
import vllm
from transformers import AutoModelForCausalLM

from rods.cli import main
from rods.policies import causal_model

INFO = {
    "model_config": {"logprobs_mode": "processed_logprobs"},
    "weight_transfer_config": {"backend": "nccl"},
}
ANSWERS = {
    "/health": {},
    "/v1/models": {"data": [{"id": "stock"}]},
    "/server_info": {"vllm_config": INFO},
    "/get_world_size": {"world_size": 1},
}


class Engine:
    """Samples with the weights that were received; writes down what it was asked."""

    def __init__(self, folder: str) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.draws = torch.Generator().manual_seed(0)
        self.calls: list[tuple[str, Any]] = []

    def load(self) -> None:
        self.model.load_state_dict(vllm.received)  # strictly: all weights, and no others

    @torch.no_grad()
    def complete(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["return_token_ids"] and asked["n"] == 1 and asked["logprobs"] == 0
        return {"choices": [self._choice(prompt, asked) for prompt in asked["prompt"]]}

    def _choice(self, prompt: list[int], asked: dict[str, Any]) -> dict[str, Any]:
        ids: list[int] = []
        found: list[float] = []
        while len(ids) < asked["max_tokens"]:
            logits = self.model(torch.tensor([[*prompt, *ids]])).logits[0, -1]
            logprobs = (logits / asked["temperature"]).log_softmax(-1)
            ids.append(int(torch.multinomial(logprobs.exp(), 1, generator=self.draws)))
            found.append(float(logprobs[ids[-1]]))
            if ids[-1] in asked["stop_token_ids"]:
                break
        tokens = [f"token_id:{i}" for i in ids]
        top = [{token: value} for token, value in zip(tokens, found, strict=True)]
        logprobs = {"tokens": tokens, "token_logprobs": found, "top_logprobs": top}
        return {"prompt_token_ids": prompt, "token_ids": ids, "logprobs": logprobs}


class Handler(BaseHTTPRequestHandler):
    engine: ClassVar[Engine]

    def do_GET(self) -> None:
        self._answer(ANSWERS[self.path.partition("?")[0]])

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or "{}")
        self.engine.calls.append((self.path, body))
        if self.path == "/v1/completions":
            self._answer(self.engine.complete(body))
            return
        if self.path == "/finish_weight_update":
            self.engine.load()
        self._answer({"success": True})

    def _answer(self, value: Any) -> None:
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


def pretend() -> None:
    """No GPU is needed: neither by us nor for the transfer of weights."""
    from trl.generation.vllm_client import VLLMClient

    init = VLLMClient.init_communicator
    VLLMClient.init_communicator = lambda self, device: init(self, "cuda")  # of no index
    causal_model.check_vllm = lambda settings: None


if __name__ == "__main__":
    pretend()
    if os.environ.get("RANK", "0") == "0":
        Handler.engine = Engine(os.environ["SERVED"])
        server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        main()
    finally:
        if os.environ.get("RANK", "0") == "0":
            calls = [[path, body] for path, body in Handler.engine.calls]
            Path(os.environ["CALLS"]).write_text(json.dumps(calls))
