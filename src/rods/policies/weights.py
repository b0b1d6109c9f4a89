"""Identifies the weights of a model."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

SAMPLED = 64  # values of each tensor


def weights_digest(model: nn.Module) -> str:
    """A hash of names, shapes and the first values of each tensor, as bfloat16 has them.

    So it is the same for a model that was loaded in float32 and in bfloat16.
    """
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        first = weight.detach().flatten()[:SAMPLED].to(torch.bfloat16).float().cpu()
        digest.update(f"{name} {tuple(weight.shape)} {first.tolist()}".encode())
    return digest.hexdigest()
