"""A model's operators as people read them: the dearest in the order in which they run, all others as one line."""

from __future__ import annotations

from collections.abc import Sequence

from coursekit.figures import lasting, portion
from coursekit.records import Breakdown, Part, Record
from coursekit.report.phrases import clean

MOST = 12
"""So many operators of a long model are shown one by one, unless more are asked for."""


class Line(Record, frozen=True, kw_only=True):
    """One operator, or all that are not shown one by one; every text is final."""

    number: str
    """Its place in the order, from 1; empty for the others."""
    operator: str
    layer: str
    cycles: str
    time: str
    share: str
    nanoseconds: int
    bound: str = ""
    calibrated: bool = True


def lines(found: Breakdown, most: int = MOST) -> tuple[Line, ...]:
    """Give the `most` dearest operators in running order, then the others together; all if that saves nothing."""
    order = sorted(range(len(found.parts)), key=lambda number: (-found.parts[number].nanoseconds, number))
    shown = sorted(order if len(order) <= most + 1 else order[:most])
    names = layers(found.parts)
    told = [_line(number, found.parts[number], names[number]) for number in shown]
    rest = [each for number, each in enumerate(found.parts) if number not in set(shown)]
    return (*told, *([_others(rest, found.nanoseconds)] if rest else []))


def layers(parts: Sequence[Part]) -> list[str]:
    """Give the layers' names: of names fused into one the first, without the folder that all have in common.

    Converters join the names of fused operators with semicolons; the first is that of the tensor that is left.
    """
    firsts = [clean(each.name).split(";", 1)[0] for each in parts]
    folders = {name.split("/", 1)[0] for name in firsts if "/" in name}
    if len(folders) != 1:
        return firsts
    root = f"{folders.pop()}/"
    return [name.removeprefix(root) or name for name in firsts]


def shorter(layer: str) -> str:
    """Give a layer's name without the operation that a converter put after it, which begins with a capital: Relu6."""
    folder, _, last = layer.rpartition("/")
    return folder if folder and last[:1].isupper() else layer


def _line(number: int, part: Part, layer: str) -> Line:
    return Line(
        number=str(number + 1),
        operator=clean(part.operator, 40),
        layer=layer,
        cycles="" if part.cycles is None else f"{part.cycles:,}",
        time=lasting(part.nanoseconds),
        share=portion(part.per_mille, some=part.nanoseconds > 0),
        nanoseconds=part.nanoseconds,
        bound=clean(part.bound, 20),
        calibrated=part.calibrated,
    )


def _others(rest: Sequence[Part], total: int) -> Line:
    """Give the operators that are not shown as one; calibrated if most of their time is."""
    spent = sum(each.nanoseconds for each in rest)
    cycles = None if any(each.cycles is None for each in rest) else sum(each.cycles or 0 for each in rest)
    guessed = sum(each.nanoseconds for each in rest if not each.calibrated)
    per_mille = (2000 * spent + total) // (2 * total) if total else 0
    return Line(
        number="",
        operator=f"… {len(rest)} more",
        layer="",
        cycles="" if cycles is None else f"{cycles:,}",
        time=lasting(spent),
        share=portion(per_mille, some=spent > 0),
        nanoseconds=spent,
        calibrated=2 * guessed <= spent,
    )
