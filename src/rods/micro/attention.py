"""The layers of the micro model; attention is a function that they are given.

Training attends within the sequence (`causal`), sampling to what a cache holds (`KeyValueCache`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from rods.micro.model import MicroModelConfig

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""Attention of one layer: (layer, queries, keys, values), each [rows, heads, tokens, head width],
to the attended values in the shape of the queries. Layer `config.layers` is the copy head's."""

Writer = Callable[[int, Tensor, Tensor], None]
"""Puts the keys and values of a block into the cache of a layer: (layer, keys, values)."""

PAST = 2
"""Tokens before a position that are added to its input; copying finds its source by them."""


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Rotary positions: x [rows, tokens, heads, head width] turned by unit complex `angles`."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * angles).flatten(-2)


class DecoderLayer(nn.Module):
    """Pre-norm attention and MLP in two parts; the caller computes the attention between them."""

    def __init__(self, config: MicroModelConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_norm = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.mlp_norm = nn.RMSNorm(width)
        self.up = nn.Linear(width, config.mlp_ratio * width, bias=False)
        self.down = nn.Linear(config.mlp_ratio * width, width, bias=False)

    def project(self, x: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [rows, heads, tokens, head width] of x [rows, tokens, width]."""
        qkv = self.qkv(self.attention_norm(x)).view(*x.shape[:-1], 3 * self.heads, -1)
        turned = rotate(qkv[..., : 2 * self.heads, :], angles).transpose(1, 2)
        values = qkv[..., 2 * self.heads :, :].transpose(1, 2)
        return turned[:, : self.heads], turned[:, self.heads :], values

    def complete(self, x: Tensor, attended: Tensor) -> Tensor:
        """The layer's output [rows, tokens, width] once attention has been computed."""
        x = x + self.out(attended.transpose(1, 2).flatten(-2))
        x = x + self.down(F.silu(self.up(self.mlp_norm(x))))
        return x


class CopyHead(nn.Module):
    """Attention over the input that adds the output vector of the token to copy.

    A key is made from the state at its position, which holds the token there and the two before,
    so a query can ask for "the token that followed these". The value is the token's own
    embedding, which is also its row of the tied output matrix: the logit of any token that is
    attended to rises, and the head of the model remains one linear map.
    """

    def __init__(self, config: MicroModelConfig) -> None:
        super().__init__()
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, config.width, bias=False)
        self.gate = nn.Linear(config.width, 1)

    def project(self, x: Tensor, embedded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value [rows, 1, tokens, width] of final states and token embeddings."""
        return self.query(x).unsqueeze(1), self.key(x).unsqueeze(1), embedded.unsqueeze(1)

    def complete(self, x: Tensor, copied: Tensor) -> Tensor:
        """States [rows, tokens, width] plus the gated copy."""
        return x + F.softplus(self.gate(x)) * copied.squeeze(1)


def causal(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention within the sequence itself."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class KeyValueCache:
    """Keys and values by layer, each [places, heads, context, head width].

    Slot t of a place holds the key and value of its token at position t. The last layer is the copy
    head's. A place is where a row is stored at present: rows in work are kept next to each other.
    """

    def __init__(self, shapes: Sequence[tuple[int, int, int, int]], device: torch.device) -> None:
        self.device = device
        self.keys = [torch.zeros(shape, device=device) for shape in shapes]
        self.values = [torch.zeros(shape, device=device) for shape in shapes]

    def move(self, order: Sequence[int], length: int) -> None:
        """Rearrange so that place i holds the first `length` slots of what was at `order[i]`."""
        changed = [place for place, source in enumerate(order) if place != source]
        if changed:
            target = torch.tensor(changed, device=self.device)
            source = torch.tensor([order[i] for i in changed], device=self.device)
            for tensor in (*self.keys, *self.values):
                held = tensor[:, :, :length]
                # Assignment by an index takes 1.5 to 3 times as long.
                held.index_copy_(0, target, held.index_select(0, source))

    def attend(self, places: Tensor, positions: Tensor, fresh: Tensor) -> Attend:
        """Attention for a block of rows at these `places` [rows].

        The block's tokens are stored at `positions` [rows, tokens], which are in sequence. `fresh`
        [rows, tokens] says which are real: a row's first ones. Each sees its place up to its own
        position. A row is attended to by itself, because its keys and values are used where they
        are and no longer than they are; a copy for a whole block takes more time.
        """
        write = self._writer(places, positions, fresh)
        counts, ends = fresh.sum(1).tolist(), (positions[:, 0] + fresh.sum(1)).tolist()
        rows = list(zip(places.tolist(), counts, ends, strict=True))
        ahead = torch.full((max(counts),) * 2, -torch.inf, device=self.device).triu(1)
        masks = [F.pad(ahead[:count, :count], (end - count, 0)) for _, count, end in rows]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            write(layer, k, v)
            keys, values, found = self.keys[layer], self.values[layer], torch.zeros_like(q)
            for row, ((place, count, end), mask) in enumerate(zip(rows, masks, strict=True)):
                own = slice(place, place + 1), slice(None), slice(0, end)
                found[row, :, :count] = F.scaled_dot_product_attention(
                    q[row : row + 1, :, :count], keys[own], values[own], attn_mask=mask
                )[0]
            return found

        return attend

    def attend_together(self, positions: Tensor, fresh: Tensor, length: int) -> Attend:
        """Attention for one token of each of the first places; see `attend`.

        Args:
            length: above all positions of fresh tokens.
        """
        count = len(positions)
        write = self._writer(torch.arange(count, device=self.device), positions, fresh)
        hidden = torch.arange(length, device=self.device) > positions[:, None, :, None]
        # A mask of numbers is made once; one of truth values would be turned into it by each layer.
        mask = torch.zeros(hidden.shape, device=self.device).masked_fill(hidden, -torch.inf)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            write(layer, k, v)
            keys, values = self.keys[layer], self.values[layer]
            return F.scaled_dot_product_attention(
                q, keys[:count, :, :length], values[:count, :, :length], attn_mask=mask
            )

        return attend

    def _writer(self, places: Tensor, positions: Tensor, fresh: Tensor) -> Writer:
        """Writes the keys and values of a block's fresh tokens."""
        places, slots = places[:, None].expand_as(fresh)[fresh], positions[fresh]

        def write(layer: int, keys: Tensor, values: Tensor) -> None:
            self.keys[layer][places, :, slots] = keys.transpose(1, 2)[fresh]
            self.values[layer][places, :, slots] = values.transpose(1, 2)[fresh]

        return write
