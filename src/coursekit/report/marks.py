"""Marks of a scatter chart: shapes that are told apart without colour, and labels that do not cover each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

Points = list[tuple[float, float]]

_POLYGONS = {
    "square": (4, 45.0),
    "triangle": (3, 0.0),
    "diamond": (4, 0.0),
    "wedge": (3, 180.0),
    "pentagon": (5, 0.0),
}
"""Corners, and by how much the first is turned from the top."""

SHAPES = ("circle", "square", "triangle", "diamond", "wedge", "plus", "star", "cross", "pentagon")
"""In the order in which boards get them; beyond the last they begin again, and labels tell."""


def outline(shape: str, radius: float) -> str:
    """Give the path of a shape around the origin that has the area of a circle of this radius."""
    if shape == "circle":
        half = f"a{radius:g} {radius:g} 0 1 0"
        return f"M{-radius:g} 0{half} {2 * radius:g} 0{half} {-2 * radius:g} 0z"
    if shape in _POLYGONS:
        corners, turned = _POLYGONS[shape]
        points = [_corner(1.0, turned + 360 * number / corners) for number in range(corners)]
    elif shape == "star":
        points = [_corner(0.45 if number % 2 else 1.0, 36 * number) for number in range(10)]
    else:
        points = _arms(0.0 if shape == "plus" else 45.0)
    scale = radius * math.sqrt(math.pi / _area(points))
    return "M" + "L".join(f"{x * scale:.2f} {y * scale:.2f}" for x, y in points) + "z"


def tiers(places: Sequence[float], widths: Sequence[float]) -> list[int]:
    """Give how far out each label stands, from 1, so that none covers another or another's leader.

    A label begins at its mark's place and reaches to the right by its width; its leader rises from there. So a label
    must stand further out than all whose marks it passes over. Marks at one place stand in the order given.
    """
    order = sorted(range(len(places)), key=lambda number: (places[number], number))
    found = [0] * len(places)
    for position in reversed(range(len(order))):
        number = order[position]
        over = [found[other] for other in order[position + 1 :] if places[other] <= places[number] + widths[number]]
        found[number] = 1 + max(over, default=0)
    return found


def _corner(radius: float, degrees: float) -> tuple[float, float]:
    turn = math.radians(degrees)
    return radius * math.sin(turn), -radius * math.cos(turn)


def _arms(turned: float) -> Points:
    """Give a plus sign, each arm a third as wide as the sign."""
    reach, half = 1.0, 0.36
    quarter = [(-half, -reach), (half, -reach), (half, -half)]
    points = []
    for turn in range(4):
        angle = math.radians(90 * turn + turned)
        points += [
            (x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)) for x, y in quarter
        ]
    return points


def _area(points: Points) -> float:
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairs)) / 2
