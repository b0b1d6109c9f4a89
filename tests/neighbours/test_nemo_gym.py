"""NeMo Gym's own gymnasium agent plays exported rows on our resources server, over HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from chat_script import lines
from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.config_types import BaseServerConfig
from nemo_gym.global_config import NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME
from nemo_gym.openai_utils import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.server_utils import ServerClient
from nemo_gym.train_data_utils import compute_sample_metrics
from omegaconf import OmegaConf
from pydantic import Field
from responses_api_agents.gymnasium_agent.app import GymnasiumAgent, GymnasiumAgentConfig

from contract import AGENTS, ENV, FILE, expected, oracle
from rods.export.folder import export
from rods.neighbours.nemo_gym import RodsServer, RodsServerConfig
from rods.task import Call, Task

pytestmark = pytest.mark.neighbours
ROOT = Path(__file__).parents[2]
KINDS = {
    "rods": "resources_servers",
    "policy_model": "responses_api_models",
    "rods_agent": "responses_api_agents",
}


class Scripted(SimpleResponsesAPIModel):
    """A model that answers by the number of its answers that it reads."""

    config: BaseResponsesAPIModelConfig
    script: list[Any] = Field(default_factory=list)

    async def chat_completions(self, body: Any) -> Any:
        pytest.fail("the gymnasium agent asks by responses")

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming) -> NeMoGymResponse:
        def own(item: Any) -> bool:
            kind = getattr(item, "type", None)
            said = kind == "message" and getattr(item, "role", "") == "assistant"
            return kind == "function_call" or said

        at = sum(map(own, body.input))
        return NeMoGymResponse(
            id="r", created_at=0, model="scripted", object="response", output=[self._say(at)],
            parallel_tool_calls=False, tool_choice="auto", tools=[],
        )  # fmt: skip

    def _say(self, at: int) -> dict[str, Any]:
        call = self.script[at]
        if call is None:
            text = {"type": "output_text", "text": "Done.", "annotations": []}
            said = {"type": "message", "role": "assistant", "status": "completed"}
            return {"id": f"m{at}", **said, "content": [text]}
        arguments = json.dumps(call.arguments)
        made = {"type": "function_call", "name": call.name, "arguments": arguments}
        return {**made, "call_id": f"c{at}"}


class Gym:
    """The three servers, in threads."""

    def __init__(self) -> None:
        sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in KINDS}
        ports = {name: found.getsockname()[1] for name, found in sockets.items()}
        known = {
            name: {kind: {name: {"host": "127.0.0.1", "port": ports[name]}}}
            for name, kind in KINDS.items()
        }
        head = BaseServerConfig(host="127.0.0.1", port=9)
        client = ServerClient(head_server_config=head, global_config_dict=OmegaConf.create(known))

        def where(name: str) -> dict[str, Any]:
            address = {"host": "127.0.0.1", "port": ports[name]}
            return {**address, "name": name, "entrypoint": "app.py"}

        refs = {
            "resources_server": {"type": "resources_servers", "name": "rods"},
            "model_server": {"type": "responses_api_models", "name": "policy_model"},
        }
        domain = {"domain": "agent"}
        tools = RodsServerConfig(**where("rods"), **domain, environment=ENV)
        agent = GymnasiumAgentConfig(**where("rods_agent"), **refs, max_steps=30)
        self.model = Scripted(
            config=BaseResponsesAPIModelConfig(**where("policy_model")), server_client=client
        )
        made = {
            "rods": RodsServer(config=tools, server_client=client),
            "policy_model": self.model,
            "rods_agent": GymnasiumAgent(config=agent, server_client=client),
        }
        self.url = f"http://127.0.0.1:{ports['rods_agent']}"
        self.running = []
        for name, server in made.items():
            config = uvicorn.Config(server.setup_webserver(), log_level="warning")
            self.running.append(uvicorn.Server(config))
            run = self.running[-1].run
            threading.Thread(target=run, args=([sockets[name]],), daemon=True).start()

    def play(self, row: dict[str, Any], script: list[Call | None]) -> dict[str, Any]:
        self.model.script = script
        answer = httpx.post(f"{self.url}/run", json=row, timeout=300)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def gym() -> Iterator[Gym]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, "{}")  # as its own servers get it
        yield from _started()


def _started() -> Iterator[Gym]:
    made = Gym()
    while not all(server.started for server in made.running):
        time.sleep(0.05)
    yield made
    for server in made.running:
        server.should_exit = True


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The exported rows by the names of their tasks."""
    out = tmp_path_factory.mktemp("rows") / "out"
    written = export(ROOT / FILE, "nemo-gym", out, ENV)
    assert (written.tasks, len(written.left_out)) == (10, 2)
    found = [json.loads(line) for line in (out / "train.jsonl").read_text("utf-8").splitlines()]
    return {json.loads(row["task"])["source"]: row for row in found}


@pytest.mark.parametrize(("name", "agent"), AGENTS)
def test_the_contract(name: str, agent: Callable[..., Any], gym: Gym, rows: dict[str, Any]) -> None:
    task = Task.model_validate_json(rows[name]["task"])
    done = gym.play(rows[name], lines(agent(task)))
    assert done["reward"] == pytest.approx(expected(agent, task))
    assert done["terminated"] and not done["truncated"]
    said = [item["content"] for item in done["response"]["output"] if item.get("role") == "user"]
    assert said == [turn.user for turn in task.turns[1:]]


def test_a_rollout_that_is_cut_off_keeps_its_ended_turns(gym: Gym, rows: dict[str, Any]) -> None:
    task = Task.model_validate_json(rows["momo-checkup"]["task"])
    again = Call(name="list_free_slots", arguments={"vet": "Varga"})
    done = gym.play(rows["momo-checkup"], [*lines(oracle(task))[:3], *[again] * 40])
    assert done["truncated"]
    assert done["reward"] == pytest.approx(1 / 3)


def test_rows_pass_the_gyms_own_check(rows: dict[str, Any]) -> None:
    for row in rows.values():
        metrics, offending = compute_sample_metrics(json.dumps(row))
        assert not offending
        assert metrics.number_of_tools.max == 9
