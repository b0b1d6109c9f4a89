"""Evaluates a model of `transformers` in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rods.evaluation.folder import EvaluationFolder, Facts
from rods.evaluation.play import Evaluator, Failures
from rods.evaluation.settings import EvaluationSettings, digest, sha256_of
from rods.extras import TRAINER, require
from rods.rollout.policy import Sampling
from rods.rollout.tokens import TokenAgent


class ModelEvaluation:
    """An evaluation of a model in this process.

    Args:
        size: episodes of a block, which are played together.

    Raises:
        UserError: the model cannot be loaded, or has no usable template.
    """

    def __init__(self, settings: EvaluationSettings, model: str, size: int) -> None:
        require(*TRAINER)
        from rods.policies.causal_model import load_model
        from rods.policies.gguf import folder_of
        from rods.policies.model import ModelSettings
        from rods.policies.weights import weights_digest

        self.settings, self._size = settings, size
        named = ModelSettings(model=model, renderer=settings.renderer)
        self._loaded = load_model(named, "eval")
        place, facts = Path(folder_of(model)), self._loaded.renderer.facts
        self._agent = {
            "kind": "model",
            "model": model,
            "weights_sha256": sha256_of(file) if (file := _weights(place)) else None,
            "weights_digest": weights_digest(self._loaded.model),
            **{name: value for name, value in facts._asdict().items() if name != "system"},
            "system_sha256": digest(facts.system),
            "dtype": str(self._loaded.dtype),
            "block": size,
        }

    def identity(self) -> Facts:
        return self.settings.identity(self._agent)

    def about(self) -> Facts:
        return {"device": str(self._loaded.model.device)}

    async def play(self, folder: EvaluationFolder, tick: Callable[[], None]) -> Failures:
        """Play all episodes that are not kept; no episode fails."""
        from rods.policies.transformers import TransformersPolicy

        model, tokenizer, renderer, _ = self._loaded
        policy = TransformersPolicy(model, tokenizer.pad_token_id, self._size)
        asked, settings = self.settings.sampling, self.settings
        most = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        sampling = Sampling(asked.max_tokens, asked.temperature, renderer.stop_ids)

        def agent(block: int) -> TokenAgent:
            seeded = policy.seeded(settings.seed * 1_000_003 + block)
            return TokenAgent(renderer, seeded, asked.context or most or 1 << 40, sampling)

        with settings.runner() as runner:
            evaluator = Evaluator(runner, folder, settings.jobs(), tick)
            await evaluator.play_blocks(agent, self._size)
        return evaluator.failed


def _weights(place: Path) -> Path | None:
    """The one file with the weights in a folder, or the path itself if it is a file."""
    if place.is_file():
        return place
    found = [*place.glob("*.safetensors")] if place.is_dir() else []
    return found[0] if len(found) == 1 else None
