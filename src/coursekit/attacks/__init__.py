"""Attacks on the grader, as submissions: what `coursekit doctor --attack` hands in, and what must come of each."""

from __future__ import annotations

from types import ModuleType

from coursekit.attacks import cells, exhaust, forge, inject, models, reach
from coursekit.attacks.kinds import GROUPS, Attack, Group, Place, cell

__all__ = ["GROUPS", "Attack", "Group", "Place", "attacks", "cell"]


def attacks() -> tuple[Attack, ...]:
    """Every attack, group by group."""
    return tuple(attack for module in (reach, exhaust, forge, cells, models, inject) for attack in _of(module))


def _of(module: ModuleType) -> list[Attack]:
    return [value for value in vars(module).values() if isinstance(value, Attack)]
