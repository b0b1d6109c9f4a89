"""A decoder of about half a million weights that can copy from its input."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

from rods.micro.attention import PAST, Attend, CopyHead, DecoderLayer, causal


class MicroModelConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """Sizes of the model. `context` is the longest sequence that it is meant for."""

    model_type = "rods_micro"
    attribute_map: ClassVar[dict[str, str]] = {
        "hidden_size": "width",
        "num_hidden_layers": "layers",
        "num_attention_heads": "heads",
        "max_position_embeddings": "context",
    }

    # TRL reads this to load a reference model of a class that `transformers` does not have.
    auto_map: ClassVar[dict[str, str]] = {}

    vocab_size: int = 1500
    width: int = 96
    layers: int = 3
    heads: int = 3
    context: int = 512
    mlp_ratio: int = 3
    pad_token_id: int | None = 0
    use_cache: bool = False
    tie_word_embeddings: bool = True


class MicroPreTrainedModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Registration and initial weights."""

    config: MicroModelConfig
    config_class = MicroModelConfig
    base_model_prefix = "model"
    _supports_sdpa = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            # Rows of unit length in a tied matrix: logits start near N(0, 1) on normalised states.
            nn.init.normal_(module.weight, std=self.config.width**-0.5)
        elif isinstance(module, nn.Linear) and module.out_features != self.config.vocab_size:
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.constant_(module.bias, 2.0)
        elif isinstance(module, nn.RMSNorm):
            nn.init.ones_(module.weight)


class MicroModel(MicroPreTrainedModel):  # type: ignore[no-untyped-call]
    """The decoder without its output matrix."""

    def __init__(self, config: MicroModelConfig) -> None:
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.previous = nn.Linear(PAST * config.width, config.width, bias=False)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width)
        self.copy_head = CopyHead(config)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Embedding:
        """The token embedding, also the output matrix."""
        return self.embed

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding."""
        assert isinstance(value, nn.Embedding)
        self.embed = value

    def angles(self, positions: Tensor) -> Tensor:
        """Rotary turns, complex [..., 1, head width / 2], for positions [...]."""
        half = self.config.width // self.config.heads // 2
        exponents = torch.arange(half, device=positions.device) / half
        phases = positions.unsqueeze(-1) * torch.exp(exponents * -math.log(10_000.0))
        return torch.polar(torch.ones_like(phases), phases).unsqueeze(-2)

    def decode(self, window: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Final states [rows, tokens, width], ready for the output matrix.

        `window` [rows, PAST + tokens] are the tokens with those just before them; `positions` of
        the tokens broadcasts against [rows, tokens]; `attend` supplies attention over past and
        present.
        """
        angles = self.angles(positions)
        # Token vectors are of length one; the stream is brought to unit size per coordinate.
        vectors = self.embed(window)
        embedded, tokens = vectors[:, PAST:], window.shape[1] - PAST
        past = [vectors[:, i : i + tokens] for i in range(PAST)]
        x = (embedded + self.previous(torch.cat(past, -1))) * math.sqrt(self.config.width)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, DecoderLayer)
            q, k, v = layer.project(x, angles)
            x = layer.complete(x, attend(index, q, k, v))
        x = self.norm(x)
        q, k, v = self.copy_head.project(x, embedded)
        return self.copy_head.complete(x, attend(len(self.layers), q, k, v))

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        """Final states [rows, tokens, width] of ids [rows, tokens].

        Tokens where the mask is 0 have no effect, at any position. Positions follow from the mask,
        so `position_ids` and cache arguments are accepted and not used.
        """
        if attention_mask is None or bool((attention_mask[:, 1:] <= attention_mask[:, :-1]).all()):
            # Padding on the right only: causal attention never reads it.
            return BaseModelOutput(last_hidden_state=self._causal(input_ids))
        order = attention_mask.eq(0).long().argsort(dim=1, stable=True)
        longest = int(attention_mask.ne(0).sum(1).max())
        packed = self._causal(input_ids.gather(1, order[:, :longest]))
        # Padding gets the state of another token; nothing reads it.
        back = order.argsort(dim=1).clamp(max=longest - 1).unsqueeze(-1)
        states = packed.gather(1, back.expand(-1, -1, packed.shape[-1]))
        return BaseModelOutput(last_hidden_state=states)

    def _causal(self, ids: Tensor) -> Tensor:
        """States of ids [rows, tokens] whose padding, if any, is on the right."""
        window = F.pad(ids, (PAST, 0), value=self.config.pad_token_id or 0)
        return self.decode(window, torch.arange(ids.shape[1], device=ids.device), causal)


class MicroForCausalLM(MicroPreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """The language model: decoder and tied output matrix.

    It has no cache in the sense of `transformers`: `generate` recomputes the whole sequence for
    each token.
    """

    _tied_weights_keys = {"lm_head.weight": "model.embed.weight"}  # noqa: RUF012

    def __init__(self, config: MicroModelConfig) -> None:
        super().__init__(config)
        self.model = MicroModel(config)
        self.lm_head = nn.Linear(config.width, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_output_embeddings(self) -> nn.Linear:
        """The output matrix, tied to the token embedding."""
        head: nn.Linear = self.lm_head
        return head

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        use_cache: bool | None = None,
        past_key_values: object = None,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Logits [rows, kept tokens, vocabulary] for ids [rows, tokens].

        `logits_to_keep` keeps the last N positions (0: all) or the given indices. `labels`
        [rows, tokens], unshifted, with -100 for no target, add the mean loss of the next tokens.
        The rest is for callers of `transformers` models and has no effect.
        """
        states = self.model(input_ids, attention_mask).last_hidden_state
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(states[:, kept])
        loss = None
        if labels is not None:
            scores = self.lm_head(states[:, :-1]).flatten(0, 1)
            loss = F.cross_entropy(scores, labels[:, 1:].flatten())
        return CausalLMOutput(loss=loss, logits=logits)

    def token_logprobs(self, input_ids: Tensor, targets: Tensor) -> Tensor:
        """Log-probabilities [rows, tokens] of `targets` [rows, tokens], already shifted.

        `targets[r, t]` is scored as the token after `input_ids[r, t]`; -100 is not scored and
        gives 0. Only scored positions are projected onto the vocabulary.
        """
        states = self.model(input_ids).last_hidden_state
        scored = targets.ne(-100)
        logits = self.lm_head(states[scored])
        logprobs = -F.cross_entropy(logits, targets[scored], reduction="none")
        return torch.zeros(targets.shape, device=logits.device).masked_scatter(scored, logprobs)


AutoConfig.register(MicroModelConfig.model_type, MicroModelConfig, exist_ok=True)
AutoModel.register(MicroModelConfig, MicroModel, exist_ok=True)
AutoModelForCausalLM.register(MicroModelConfig, MicroForCausalLM, exist_ok=True)
