"""Batched generation for the small model, with a cache that lives as long as the episodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from rods.micro.attention import PAST, KeyValueCache
from rods.micro.model import MicroForCausalLM

# Tokens fed at once: larger blocks spill the activations out of the processor's cache.
_BLOCK_TOKENS = 4096
# Finished rows are moved behind the others once less than this share is unfinished.
_COMPACT_BELOW = 0.9


class MicroSampler:
    """Samples continuations of many histories together; each token is fed once.

    It works on the device that the model's weights are on when `generate` is called; a trainer
    moves them after the sampler was made. Random numbers are drawn on the CPU on every device.
    """

    def __init__(
        self,
        model: MicroForCausalLM,
        pad_id: int,
        stop_ids: Collection[int],
        capacity_rows: int,
        context: int,
    ) -> None:
        """Allocates memory for `capacity_rows` histories of up to `context` tokens."""
        config = model.config
        self._model, self._pad_id, self._context = model, pad_id, context
        self._stop_ids = frozenset(stop_ids)
        self._capacity = capacity_rows
        layer = (capacity_rows, config.heads, context, config.width // config.heads)
        self._shapes = [layer] * config.layers + [(capacity_rows, 1, context, config.width)]
        self._cache = KeyValueCache(self._shapes, model.device)
        self._held: list[list[int]] = []
        self._rows: list[int] = []

    def start(self, rows: int) -> None:
        """Clear the cache and begin rows 0 to `rows` - 1. Needed after weights change."""
        if rows > self._capacity:
            raise ValueError(f"{rows} rows do not fit in {self._capacity}")
        # The ids in the cache by row, and the row at each place.
        self._held = [[] for _ in range(rows)]
        self._rows = list(range(rows))

    @torch.inference_mode()
    def generate(
        self,
        histories: Sequence[Sequence[int]],
        max_new_tokens: int,
        temperature: float,
        rng: torch.Generator,
        rows: Sequence[int] | None = None,
    ) -> list[tuple[list[int], list[float]]]:
        """New ids and their log-probabilities, one pair for each history.

        `histories[i]` is all of row `rows[i]` so far (default: row i); what the cache shares with
        it is not fed again. A row ends with a stop id, after `max_new_tokens`, or when it is
        `context` long. Log-probabilities are of the sampling distribution, at temperature 0
        (greedy) of the distribution at temperature 1.
        """
        rows = range(len(histories)) if rows is None else rows
        if len(set(rows)) != len(rows) or len(rows) != len(histories):
            raise ValueError("one distinct row for each history is needed")
        results: dict[int, tuple[list[int], list[float]]] = {row: ([], []) for row in rows}
        given = dict(zip(rows, histories, strict=True))
        if not all(given.values()):
            raise ValueError("a history needs at least one token")
        going = {row for row in rows if len(given[row]) < self._context}
        if going and max_new_tokens > 0:
            self._follow()
            self._gather(going)
            logits = self._feed([given[row] for row in self._rows[: len(going)]])
            self._decode(given, results, logits, max_new_tokens, temperature, rng)
        return [results[row] for row in rows]

    def _follow(self) -> None:
        """Move to the device of the weights; what was held on another is fed again."""
        device = self._model.device
        if self._cache.device != device:
            self._cache = KeyValueCache(self._shapes, device)
            self._held = [[] for _ in self._held]

    def _tensor(self, values: Sequence[object]) -> Tensor:
        return torch.tensor(values, device=self._cache.device)

    def _decode(
        self,
        given: Mapping[int, Sequence[int]],
        results: dict[int, tuple[list[int], list[float]]],
        logits: Tensor,
        max_new_tokens: int,
        temperature: float,
        rng: torch.Generator,
    ) -> None:
        """Sample for the rows at the first places from their logits [rows, vocabulary] on."""
        rows = self._rows[: len(logits)]
        lengths = self._tensor([len(given[row]) for row in rows])
        recent = self._tensor([self._window(given[row], len(given[row])) for row in rows])
        going = set(rows)
        for step in range(max_new_tokens):
            tokens, logprobs = _draw(logits, temperature, rng)
            full = (lengths + 1).ge(self._context).tolist()
            drawn = zip(rows, tokens.tolist(), logprobs.tolist(), full, strict=True)
            for row, token, logprob, is_full in drawn:
                if row in going:
                    results[row][0].append(token)
                    results[row][1].append(logprob)
                    if is_full or token in self._stop_ids:
                        going.remove(row)
            if not going or step + 1 == max_new_tokens:
                return
            if len(going) < _COMPACT_BELOW * len(rows):
                kept = self._tensor(self._gather(going)[: len(going)])
                rows = self._rows[: len(going)]
                lengths, recent, tokens = lengths[kept], recent[kept], tokens[kept]
            fed = self._tensor([row in going for row in rows])
            window = torch.cat([recent, tokens[:, None]], 1)
            length = int(lengths[fed].max()) + 1
            attend = self._cache.attend_together(lengths[:, None], fed[:, None], length)
            states = self._model.model.decode(window, lengths[:, None], attend)
            logits = self._model.lm_head(states[:, 0])
            for row, token in zip(rows, tokens.tolist(), strict=True):
                if row in going:
                    self._held[row].append(token)
            recent, lengths = window[:, 1:], lengths + fed

    def _gather(self, chosen: Collection[int]) -> list[int]:
        """Bring these rows to the first places; returns the old place of each new one."""
        count = len(chosen)
        holes = [p for p in range(count) if self._rows[p] not in chosen]
        strays = [p for p in range(count, len(self._rows)) if self._rows[p] in chosen]
        order = list(range(len(self._rows)))
        for hole, stray in zip(holes, strays, strict=True):
            order[hole], order[stray] = stray, hole
        if holes:
            self._cache.move(order, max(len(self._held[self._rows[p]]) for p in holes + strays))
            self._rows = [self._rows[place] for place in order]
        return order

    def _feed(self, histories: Sequence[Sequence[int]]) -> Tensor:
        """Bring the first places up to their histories; next-token logits [rows, vocabulary].

        Rows with about equally many new tokens are fed together, which keeps the padding small.
        """
        starts = []
        for row, history in zip(self._rows, histories, strict=False):
            # The last token is fed again where all are held, because its logits are needed.
            held = self._held[row]
            common = _common(held, history)
            starts.append(min(common, len(history) - 1))
            held[common:] = history[common:]
        new = [len(history) - start for history, start in zip(histories, starts, strict=True)]
        order = sorted(range(len(histories)), key=new.__getitem__)
        logits, first = [], 0
        while first < len(order):
            last = first + 1
            while last < len(order) and (last + 1 - first) * new[order[last]] <= _BLOCK_TOKENS:
                last += 1
            logits.append(self._feed_block(order[first:last], histories, starts))
            first = last
        return torch.cat(logits)[self._tensor(order).argsort()]

    def _feed_block(
        self, places: list[int], histories: Sequence[Sequence[int]], starts: list[int]
    ) -> Tensor:
        """Feed `histories[i][starts[i]:]` for each place i, padded on the right."""
        blocks = [self._window(histories[place], starts[place]) for place in places]
        width = max(len(block) for block in blocks)
        windows = self._tensor([block + [self._pad_id] * (width - len(block)) for block in blocks])
        columns = torch.arange(width - PAST, device=windows.device)
        fresh = columns < self._tensor([len(block) - PAST for block in blocks])[:, None]
        positions = self._tensor([starts[place] for place in places])[:, None] + columns
        attend = self._cache.attend(self._tensor(places), positions, fresh)
        states = self._model.model.decode(windows, positions, attend)
        logits: Tensor = self._model.lm_head(states[range(len(places)), fresh.sum(1) - 1])
        return logits

    def _window(self, history: Sequence[int], start: int) -> list[int]:
        """The history from `start` on with the PAST tokens before it, padding at the beginning."""
        return [self._pad_id] * max(0, PAST - start) + [*history[max(0, start - PAST) :]]


def _draw(logits: Tensor, temperature: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tokens and their log-probabilities, each [rows], from logits [rows, vocabulary]."""
    if temperature == 0:
        logprobs = logits.log_softmax(-1)
        tokens = logits.argmax(-1, keepdim=True)
    else:
        logprobs = (logits / temperature).log_softmax(-1)
        # Inverting the distribution takes one random number per row, not one per word.
        mass = logprobs.exp().cumsum(-1)
        level = torch.rand(len(logits), 1, generator=rng).to(mass.device) * mass[:, -1:]
        tokens = torch.searchsorted(mass, level, right=True).clamp(max=logits.shape[-1] - 1)
    return tokens.squeeze(-1), logprobs.gather(-1, tokens).squeeze(-1)


def _common(held: list[int], history: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    if list(history[: len(held)]) == held:
        return len(held)
    return next(i for i, (a, b) in enumerate(zip(held, [*history, -1], strict=False)) if a != b)
