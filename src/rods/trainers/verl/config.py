"""verl's configuration of a run: its own defaults, with the values that ours asks for.

Each value is set in verl's own configuration, where an unknown name is an error: a version of verl
that moved a name is noticed before a run begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rods.config import Config
from rods.errors import UserError
from rods.files.reading import read_override
from rods.trainers.verl.settings import SEEDS, Cluster, settings


def verl_config(config: Config, folder: Path, cluster: Cluster, place: str) -> Any:
    """verl's whole configuration, as omegaconf holds it.

    Args:
        place: folder or name of the model.

    Raises:
        UserError: see `settings`; this version of verl has no such setting; an override cannot be
            used, or is of a setting that RODS decides.
    """
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf, open_dict

    asked = {**settings(config, folder, cluster), "actor_rollout_ref.model.path": place}
    with initialize_config_module("verl.trainer.config", version_base=None):
        found = compose("ppo_trainer")
    _put(found, asked, "verl has no setting")
    _override(found, cluster.overrides, asked)
    with open_dict(found):
        found.rods = OmegaConf.create(
            {
                "config": config.model_dump_json(),
                "folder": str(folder.absolute()),
                "host": "",  # of the store; set where the run is started
                "seed": config.seed,
                "seeds": SEEDS[cluster.rollout] if cluster.seeded else None,
                "makers": cluster.makers,
            }
        )
    return found


def _override(found: Any, overrides: Sequence[str], asked: Mapping[str, Any]) -> None:
    """Set verl's own settings, but none that RODS sets: the store says what a run was trained with.

    Compared are the values, because one key can be written in several ways.
    """
    from omegaconf import OmegaConf

    for override in overrides:
        plus = override.startswith("+")
        key, value = read_override(override.removeprefix("+"), "verl.key", "--verl")
        _put(found, {key: value}, f"--verl {override}: verl has no setting", add=plus)
        for name, wanted in asked.items():
            if OmegaConf.select(found, name) != wanted:
                raise UserError(f"--verl {override}: RODS sets {name}; use its own setting (--set)")


def _put(found: Any, values: Mapping[str, Any], problem: str, *, add: bool = False) -> None:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for key, value in values.items():
        try:
            OmegaConf.update(found, key, value, force_add=add)
        except OmegaConfBaseException as error:
            why = str(error).splitlines()[0]
            raise UserError(f"{problem} {key} ({why})") from None
