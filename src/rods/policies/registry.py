"""Kinds of policy by their name in the configuration (`policy.name`).

A kind says which tasks a run has, which renderer writes them and which model plays and is trained.
The configuration reads its settings, and each kind is imported when its name is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from rods.errors import UserError
from rods.files.reading import Setting
from rods.imports import import_class, problem

if TYPE_CHECKING:
    from rods.cache import Progress
    from rods.config import Config
    from rods.policies.tasks import TaskSides
    from rods.rollout.policy import Policy
    from rods.rollout.renderer import Renderer

DEFAULT = "micro"
_SHIPPED = {"micro": "rods.micro.kind:MicroKind", "model": "rods.policies.model:ModelKind"}
EPISODE = 1 << 40
"""Distance of the random seeds of two episodes. A policy whose draws do not depend on the batch
gives episode n the random seed `seed + n * EPISODE`, so processes can share the episodes of a step:
each is given the random seed of its first episode."""


class PolicySettings(Setting):
    """Settings of a kind of policy; a kind with more settings subclasses this."""

    name: str = Field(DEFAULT, description="micro, model, or your own package.module:Class")

    @property
    def packages(self) -> tuple[str, ...]:
        """Optional packages that a run needs, by the names under which they are imported."""
        return ()


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy that is ready to play and to be trained.

    Attributes:
        model: a causal language model that the trainer accepts.
        tokenizer: of `transformers`; the trainer uses it for padding and logging only.
        seeded: the policy that samples from `model`, given the random seed of its draws and the
            number of updates that the weights have had. It plays `rollout.at_once` episodes. A
            model with dropout must be in evaluation mode while it samples: the policy sets that.
        arguments: more arguments of TRL's `GRPOConfig`.
        attach: called once with the trainer after it is built, for a policy that samples by it.
        identity: of what a checkpoint does not contain and a run must keep, such as frozen weights.
    """

    renderer: Renderer
    model: Any
    tokenizer: Any
    seeded: Callable[[int, int], Policy]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    attach: Callable[[Any], None] = lambda trainer: None
    identity: str = ""


class PolicyKind(Protocol):
    """A kind of policy. It is made without arguments and keeps no state.

    Attributes:
        settings: the class of the section `policy` of the configuration.
    """

    settings: ClassVar[type[PolicySettings]]

    def tasks(self, config: Config, progress: Progress) -> TaskSides:
        """The run's tasks. No policy is prepared: the synthesis worker calls this too.

        Raises:
            UserError: the tools or tasks are unusable.
        """

    def load(
        self, config: Config, tasks: TaskSides, checkpoint: Path | None, progress: Progress
    ) -> LoadedPolicy:
        """The policy with the weights of a checkpoint, or with those that a run starts from.

        Args:
            tasks: what `tasks` returned.
            checkpoint: a folder that the trainer wrote.

        Raises:
            UserError: the weights cannot be loaded or prepared.
        """


def kind_of(name: str) -> PolicyKind:
    """The kind of policy with this name.

    Args:
        name: of a kind of this package, or `package.module:Class` of your own; modules of the
            current folder can be named.

    Raises:
        UserError: there is no such kind, or it cannot be imported or made.
    """
    spec, label = _SHIPPED.get(name, name), "policy.name"
    form = f"no kind of policy {name!r}; there are: {', '.join(_SHIPPED)}; write your own as"
    form += " package.module:Class"
    found = import_class(spec, label, form, here=name not in _SHIPPED)
    settings = getattr(found, "settings", None)
    usable = isinstance(settings, type) and issubclass(settings, PolicySettings)
    if not (usable and all(callable(getattr(found, each, None)) for each in ("tasks", "load"))):
        module, _, attribute = spec.partition(":")
        raise UserError(
            f"{label}: {module} has no class {attribute!r} with PolicySettings as its settings and"
            " the methods tasks and load; see rods.policies.registry.PolicyKind"
        )
    try:
        kind: PolicyKind = found()
    except (Exception, SystemExit) as error:
        why = f"{spec} cannot be made without arguments: {problem(error)}"
        raise UserError(f"{label}: {why}") from None
    return kind


def read_settings(given: Any) -> Any:
    """The section `policy` as settings of the kind that it names; anything but a dict unchanged.

    Raises:
        UserError: there is no such kind, or it has no such setting.
        ValidationError: a value does not fit.
    """
    if not isinstance(given, dict):
        return given
    name = given.get("name", DEFAULT)
    if not isinstance(name, str):
        return PolicySettings.model_validate({"name": name})
    settings = kind_of(name).settings
    for key in given:
        if key not in settings.model_fields:
            there = ", ".join(settings.model_fields)
            raise UserError(f"policy.{key}: no setting of the policy {name}; there are: {there}")
    return settings.model_validate({"name": name, **given})
