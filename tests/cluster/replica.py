"""A rollout server of the tests: it has the trainer's weights, and writes what the script says."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import ray
import torch
from replica_files import note_asked, released
from script import Script
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica, TokenOutput


def server_name(rank: int) -> str:
    return f"scripted_server_{rank}"


class ScriptedAdapter(BaseRollout):
    """In each process that trains: sends the weights to the server of the same rank."""

    def __init__(self, config: Any, model_config: Any, device_mesh: Any, **_: Any) -> None:
        super().__init__(config, model_config, device_mesh)

    async def resume(self, tags: list[str]) -> None: ...

    async def release(self) -> None: ...

    async def update_weights(self, weights: Any, global_steps: int | None = None, **_: Any) -> None:
        found = {}
        for name, tensor in weights:
            whole = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
            found[name] = whole.detach().float().cpu().clone()
        server = ray.get_actor(server_name(torch.distributed.get_rank()))
        await server.load.remote(found, global_steps)


@ray.remote(num_cpus=0.1)
class Server:
    """Generates: the ids of the script, with the log-probabilities of the weights."""

    def __init__(self, model: str, folder: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        self.script = Script(AutoTokenizer.from_pretrained(model), Path(folder))
        self.folder, self.step = Path(folder), 0

    async def load(self, weights: dict[str, Any], step: int | None) -> None:
        missing, unexpected = self.model.load_state_dict(weights, strict=False)
        assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
        self.step = step or 0

    async def generate(
        self, prompt_ids: Any, sampling_params: dict[str, Any], request_id: str, **_: Any
    ) -> TokenOutput:
        prompt = [int(i) for i in prompt_ids]
        await self._begin(request_id)
        ids = self.script.action(request_id, prompt)[: sampling_params["max_tokens"]]
        with torch.no_grad():
            hidden = self.model.model(torch.tensor([prompt + ids])).last_hidden_state
            logits = self.model.lm_head(hidden[0, len(prompt) - 1 : -1])
        scores = (logits.float() / sampling_params["temperature"]).log_softmax(-1)
        chosen = scores.gather(1, torch.tensor(ids)[:, None])[:, 0].tolist()
        return TokenOutput(
            token_ids=ids,
            log_probs=chosen,
            stop_reason="completed",
            extra_fields={"global_steps": self.step},
        )

    async def _begin(self, name: str) -> None:
        """Note the task, and fail or wait as a test asks for, such as "dies 2": in step 2."""
        if name.startswith("held-out"):
            return
        what, _, when = os.environ.get("RODS_CLUSTER_FAULT", "").partition(" ")
        _, step, place, *_ = name.split("-")
        note_asked(self.folder, int(step), int(place))
        if step == when:
            if what == "dies":
                os._exit(1)
            while what == "holds" and not released(self.folder):
                await asyncio.sleep(0.1)
            if what == "raises":
                raise RuntimeError("the script is torn")

    async def wake_up(self, **_: Any) -> None: ...
    async def sleep(self) -> None: ...
    async def abort_all_requests(self, **_: Any) -> None: ...
    async def resume_generation(self) -> None: ...
    async def clear_kv_cache(self) -> None: ...
    async def release_kv_cache(self) -> None: ...
    async def resume_kv_cache(self) -> None: ...


class ScriptedReplica(RolloutReplica):
    """One server for each process that trains."""

    async def launch_servers(self) -> None:
        model = self.model_config["path"]
        actor = Server.options(name=server_name(self.replica_rank))
        server = actor.remote(model, os.environ["RODS_CLUSTER_RUN"])
        self.servers, self._server_handle = [server], server
        self._server_address = server_name(self.replica_rank)
