"""A device that is none: tensors on it are CPU tensors that say otherwise.

`torch` refuses to mix tensors of two devices only where there are two. Inside `pretending()`, which
watches every call of `torch` from Python, a tensor is on `ELSEWHERE` if it was made there, moved
there, or comes of tensors that are there; a call that mixes is refused as on a GPU, and so is a
random number that a CPU generator is to draw there. Stricter than a GPU: it would take an index
from the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_iter, tree_map

ELSEWHERE = torch.device("cuda", 0)
CPU = torch.device("cpu")
READS = ("tolist", "item", "__int__", "__bool__", "__float__", "__len__", "__repr__")


def move(model: nn.Module) -> None:
    """Move a model's weights in place, as a trainer does."""
    for tensor in (*model.parameters(), *model.buffers()):
        _put(tensor, ELSEWHERE)


@contextmanager
def pretending() -> Iterator[set[str]]:
    """Watches; gives the names of the calls whose results were elsewhere."""
    watch = _Watch()
    with watch:
        yield watch.seen


class _Watch(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = dict(kwargs or {}), str(resolve_name(function))
        given = [t for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)]
        if name == "torch.Tensor.device.__get__":
            return _place(given[0])
        places = {_place(t) for t in given if t.ndim or _place(t) != CPU}
        if len(places) > 1:
            raise RuntimeError(f"{name}: tensors on {ELSEWHERE} and on {CPU}")
        asked = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.device)]
        if asked:
            args = tree_map(_here, args)
            kwargs = tree_map(_here, kwargs)
        place = asked[0] if asked else next(iter(places), CPU)
        if name.endswith(".cpu"):
            place = CPU
        if kwargs.get("generator") is not None and place != CPU:
            raise RuntimeError(f"{name}: a CPU generator draws for {place}")
        made = function(*args, **kwargs)
        if any(made is t and _place(t) != place for t in given):
            made = made.clone()  # a move to where it is gives the tensor itself
        if place != CPU and name.rsplit(".", 1)[-1] not in READS:
            self.seen.add(name)
        for tensor in tree_iter(made):
            if isinstance(tensor, Tensor) and not isinstance(tensor, nn.Parameter):
                _put(tensor, place)
        return made


def _here(value: Any) -> Any:
    return CPU if isinstance(value, torch.device) else value


def _place(tensor: Tensor) -> torch.device:
    return getattr(tensor, "_pretended", CPU)


def _put(tensor: Tensor, place: torch.device) -> None:
    tensor._pretended = place
