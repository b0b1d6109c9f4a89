"""The augmentations by the category that they make; other tasks are varied plainly."""

from __future__ import annotations

from rods.synthesis.augmentation import Augmentation
from rods.synthesis.missing import MISSING_FUNCTION, MISSING_PARAMETER

_AUGMENTATIONS = {"miss_param": MISSING_PARAMETER, "miss_func": MISSING_FUNCTION}


def register(category: str, augmentation: Augmentation) -> None:
    """Have the tasks of a category varied in a way of its own.

    Worker processes must know of it too: call this in the module of your classes, which all of them
    import.

    Raises:
        ValueError: the category has an augmentation.
    """
    if category in _AUGMENTATIONS:
        raise ValueError(f"category {category!r} has an augmentation; choose another name")
    _AUGMENTATIONS[category] = augmentation


def augmentation_of(category: str) -> Augmentation | None:
    """That of a category; None if its tasks are as plain as those of the base."""
    return _AUGMENTATIONS.get(category)


def structures() -> dict[str, str]:
    """What the tasks of each category are like, for a model that judges."""
    return {name: found.structure for name, found in _AUGMENTATIONS.items() if found.structure}
