"""TRL's own GRPO trainer plays our tasks as environments of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import get_json_schema
from trl import GRPOConfig, GRPOTrainer

from contract import AGENTS, ENV, FILE, Script, expected, floor
from rods.envs.bfcl_data import tool_specs
from rods.errors import UserError
from rods.neighbours.signature import method_of
from rods.neighbours.tasks import ANSWER
from rods.neighbours.trl import TrlTasks
from rods.task import ToolSpec
from tiny_chat_model import save_tiny_model


class Scripted(GRPOTrainer):
    """The trainer with the words of a script in place of the model's samples."""

    script: Iterator[str]

    def _generate_single_turn(self, prompt_ids: list[Any], *_: Any, **named: Any) -> Any:
        said = f"{next(self.script, 'Done.')}<|im_end|>"
        return [self.processing_class.encode(said) for _ in prompt_ids], None


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_model(folder)
    return folder


@pytest.fixture(scope="module")
def tasks() -> TrlTasks:
    return TrlTasks(ENV, FILE)


def trainer(kind: type[GRPOTrainer], tiny: Path, out: Path, tasks: TrlTasks, rows: Any) -> Any:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    arguments = GRPOConfig(
        output_dir=str(out), max_steps=1, per_device_train_batch_size=2, num_generations=2,
        max_completion_length=3000, max_tool_calling_iterations=20, use_cpu=True, report_to=[],
        save_strategy="no", logging_steps=1, disable_tqdm=True,
    )  # fmt: skip
    return kind(
        model=model, processing_class=AutoTokenizer.from_pretrained(tiny), args=arguments,
        train_dataset=Dataset.from_list(rows), environment_factory=tasks.factories,
    )  # fmt: skip


def words(script: Script) -> list[str]:
    """What a model writes that plays the script: the calls one by one, then the end of the turn."""
    said = []
    for turn in script:
        calls = [{"name": c.name, "arguments": c.arguments} for c in turn]
        calls.append({"name": ANSWER, "arguments": {"text": "Done."}})
        said += [f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls]
    return said[:-1]  # the last turn ends with plain text


@pytest.mark.parametrize(("name", "agent"), AGENTS)
def test_the_contract_in_trls_own_loop(
    name: str, agent: Any, tiny: Path, tmp_path: Path, tasks: TrlTasks
) -> None:
    rows = [row for row in tasks.rows if row["task"] == name]
    made = trainer(Scripted, tiny, tmp_path, tasks, rows)
    task = tasks.tasks.by_name[name]
    made.script = iter(words(agent(task)))
    made.train()
    (line,) = (found for found in made.state.log_history if "reward" in found)
    assert line["reward"] == pytest.approx(expected(agent, task))
    assert line["tools/failure_frequency"] == 0


def test_a_model_of_random_weights_trains(tiny: Path, tmp_path: Path, tasks: TrlTasks) -> None:
    made = trainer(GRPOTrainer, tiny, tmp_path, tasks, tasks.rows)
    made.args.max_completion_length = made.max_completion_length = 8
    made.generation_config.max_new_tokens = 8
    before = {name: weight.clone() for name, weight in made.model.named_parameters()}
    made.train()
    (line,) = (found for found in made.state.log_history if "reward" in found)
    lowest = [floor(task) for task in tasks.tasks.by_name.values()]
    assert min(lowest) <= line["reward"] <= max(lowest), "it makes no call that can be read"
    after = made.model.named_parameters()
    assert all(weight.isfinite().all() for _, weight in after) and before


def test_tasks_that_withhold_tools_are_left_out(tasks: TrlTasks) -> None:
    assert tasks.left_out == ["no-way-to-cancel", "no-way-to-pay"]
    assert len(tasks.rows) == 10


def test_schemas_are_those_of_the_tools() -> None:
    """As far as a type hint can say it; the rest stands in the description."""
    for tool in tool_specs().values():
        made = get_json_schema(method_of(tool, lambda *_: ""))["function"]
        assert made["name"] == tool.name
        read = made["parameters"]
        assert list(read["properties"]) == list(tool.parameters)
        assert tuple(read.get("required", ())) == tool.required
        for name, schema in tool.parameters.items():
            found = read["properties"][name]
            assert found["type"] == schema["type"]
            assert " ".join(schema["description"].split()) in found["description"]
            if "enum" in schema:
                assert found["enum"] == schema["enum"]


def test_what_no_type_hint_says_stands_in_the_description() -> None:
    inner = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = ToolSpec(
        name="move", owner="Shop", description="Move. Returns: nothing", required=("to",),
        parameters={
            "to": {**inner, "description": "The new address."},
            "at": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 3},
            "tags": {"type": "array", "items": {"type": "string"}},
            "by": {"type": ["integer", "string"]},
            "rates": {"type": "object", "additionalProperties": {"type": "number"}},
            "any": {},
        },
    )  # fmt: skip
    made = get_json_schema(method_of(tool, lambda *_: ""))["function"]
    assert made["description"] == "Move. Returns - nothing"
    read = made["parameters"]["properties"]
    assert read["to"] == {
        "type": "object",
        "description": f"The new address. JSON schema: {json.dumps(inner)}",
    }
    assert read["at"] == {"type": "integer", "nullable": True, "description": "Default: 3."}
    assert read["tags"] == {
        "type": "array", "items": {"type": "string"}, "description": "no description"
    }  # fmt: skip
    assert read["by"]["type"] == ["integer", "string"]
    assert read["rates"]["additionalProperties"] == {"type": "number"}
    assert "type" not in read["any"]


def test_a_tool_of_a_reserved_name_is_refused(shop: Path) -> None:
    text = (shop / "shop.py").read_text("utf-8")
    assert "class Shop" in text
    more = '\n    def reset(self) -> str:\n        """Reset it."""\n        return ""\n'
    (shop / "other.py").write_text(text.rstrip() + more, "utf-8")
    with pytest.raises(UserError, match="'reset': TRL cannot show a tool of that name"):
        TrlTasks("other:Shop", shop / "tasks.jsonl")
