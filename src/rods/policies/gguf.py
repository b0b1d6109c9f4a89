"""Models in `.gguf` files, which are converted once for `transformers`."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rods.cache import cached
from rods.errors import UserError
from rods.extras import package_folder, require


def folder_of(model: str) -> str:
    """The folder of a model, or its name on the hub.

    Args:
        model: one of these, a `.gguf` file, or `package:NAME` for the one in an installed package.

    Raises:
        UserError: a package or a `.gguf` file is missing, or cannot be read.
    """
    file = Path(model)
    if model.startswith("package:"):
        file = _packaged(model.removeprefix("package:"))
    if file.suffix != ".gguf":
        return model
    require("gguf")
    if not file.is_file():
        raise UserError(f"policy.model: {file}: no such file")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return str(cached("gguf", [digest], partial(_convert, file)) / "model")


def _packaged(name: str) -> Path:
    """The one `.gguf` file of an installed package, which is not imported."""
    module = name.replace("-", "_")
    if not module.isidentifier():  # with a dot in it, a package would be imported
        raise UserError(f"policy.model: package:{name}: no name of a package")
    found = [*package_folder(module).rglob("*.gguf")]
    if len(found) != 1:
        raise UserError(f"policy.model: package:{name}: it has {len(found)} .gguf files, not one")
    return found[0]


def _convert(file: Path, folder: Path) -> dict[str, Any]:
    """Write a `.gguf` file's model and tokenizer as `transformers` reads them."""
    from transformers import GgufConfig

    named: dict[str, Any] = {"gguf_file": file.name}
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **named)
    model = AutoModelForCausalLM.from_pretrained(
        file.parent,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        **named,
    )
    tokenizer.save_pretrained(folder / "model")
    model.save_pretrained(folder / "model")
    return {"file": file.name}
