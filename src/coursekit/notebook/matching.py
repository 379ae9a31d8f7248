"""Which cell of a submission is which cell of the release, also after an editor has lost what said so.

Four signs, the surest first: the grade id, the format's own cell id, the same source, and lines that only one cell of
the release has. What then is left between two known neighbours is told by its place. Each sign looks at each cell
once, so the cost grows with the size of the notebook and no faster, whatever is handed in.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from coursekit.notebook.cells import DRAWN, Cell, grade_id
from coursekit.records import Record

SIMILAR = 0.5
"""The share of a released cell's own lines that a cell must have to be that cell."""

_NAMED = re.compile(r"^[ \t]*(?:async def|def|class)[ \t]+(\w+)", re.MULTILINE)
_MAX_LINES = 2_000
_STUBS = {"", "# YOUR CODE HERE", "raise NotImplementedError()", "YOUR ANSWER HERE", "pass"}
"""What a student is meant to overwrite, so that nothing follows from its absence."""


class Pattern(Record, frozen=True, kw_only=True):
    """A cell of the release as it may be recognised."""

    grade_id: str
    """Empty if the cell is not graded: then it only helps to tell others apart."""
    cell_id: str
    cell_type: str
    sources: tuple[str, ...]
    """What it may read: as released, and with the hidden tests."""
    editable: bool
    """True if students write into it."""


class Matches(Record, frozen=True, kw_only=True):
    """What was recognised, as places in the submission and in the release, counted from 0."""

    found: dict[int, int]
    """Place in the release -> place in the submission."""
    repeated: set[str]
    """Grade ids that more than one cell claimed."""
    sure: bool
    """True if a sign other than the place between neighbours joined the two notebooks."""


def match(submitted: Sequence[Cell], released: Sequence[Pattern]) -> Matches:
    """Find the cells of the release in the submission; each is found at most once, and in one place."""
    found, repeated = _by_grade_id(submitted, released)
    named = bool(found)
    for signs in (_cell_ids(submitted, released), _sources(submitted, released), _own_lines(submitted, released)):
        _add(found, signs)
    sure = named or _akin(submitted, released, found)
    _add(found, _places_between(submitted, released, found))
    return Matches(found=found, repeated=repeated, sure=sure)


def _akin(submitted: Sequence[Cell], released: Sequence[Pattern], found: Mapping[int, int]) -> bool:
    """Say if the notebooks belong together although no grade id joins them.

    Where cells claim to be graded cells of something else, an import that both have is no sign; half of the cells are.
    """
    if not any(grade_id(cell) for cell in submitted):
        return bool(found)
    graded = [place for place, pattern in enumerate(released) if pattern.grade_id]
    return 2 * sum(place in found for place in graded) >= len(graded)


def _add(found: dict[int, int], signs: Iterator[tuple[int, int]]) -> None:
    """Take over what the signs say about cells that nothing surer has spoken for."""
    taken = set(found.values())
    for place, at in signs:
        if place not in found and at not in taken:
            found[place] = at
            taken.add(at)


def _by_grade_id(submitted: Sequence[Cell], released: Sequence[Pattern]) -> tuple[dict[int, int], set[str]]:
    """Match by nbgrader's metadata. Of several cells with one id the last counts, as in nbgrader's DeduplicateIds."""
    places = {pattern.grade_id: place for place, pattern in enumerate(released) if pattern.grade_id}
    found: dict[int, int] = {}
    repeated: set[str] = set()
    for at, cell in enumerate(submitted):
        name = grade_id(cell)
        if name in places:
            if places[name] in found:
                repeated.add(name)
            found[places[name]] = at
    return found, repeated


def _cell_ids(submitted: Sequence[Cell], released: Sequence[Pattern]) -> Iterator[tuple[int, int]]:
    """Match by the id that the format itself gives to each cell."""
    at = {cell["id"]: number for number, cell in enumerate(submitted)}
    for place, pattern in enumerate(released):
        if pattern.cell_id in at and not pattern.cell_id.startswith(DRAWN):
            yield place, at[pattern.cell_id]


def _sources(submitted: Sequence[Cell], released: Sequence[Pattern]) -> Iterator[tuple[int, int]]:
    """Match by a source that is there once on both sides; empty stubs, all alike, are no sign."""
    theirs: dict[str, list[int]] = defaultdict(list)
    ours: dict[str, set[int]] = defaultdict(set)
    for at, cell in enumerate(submitted):
        theirs[cell["source"].strip()].append(at)
    for place, pattern in enumerate(released):
        for source in pattern.sources:
            ours[source.strip()].add(place)
    for source, places in ours.items():
        if source and len(places) == 1 and len(theirs.get(source, ())) == 1:
            yield from zip(places, theirs[source], strict=True)


def _own_lines(submitted: Sequence[Cell], released: Sequence[Pattern]) -> Iterator[tuple[int, int]]:
    """Match by lines, and names of functions, that one cell of the release has and no other; the likest first."""
    marks = [set().union(*map(_marks, pattern.sources)) for pattern in released]
    shared = Counter(mark for own in marks for mark in own)
    owner = {mark: place for place, own in enumerate(marks) for mark in own if shared[mark] == 1}
    weight = Counter(owner.values())
    likeness: list[tuple[float, int, int]] = []
    for at, cell in enumerate(submitted):
        hits = Counter(owner[mark] for mark in _marks(cell["source"]) if mark in owner)
        shares = ((count / weight[place], place) for place, count in hits.items())
        likeness += [(-share, place, at) for share, place in shares if share >= SIMILAR]
    for _, place, at in sorted(likeness):
        yield place, at


def _marks(source: str) -> set[str]:
    """Give the lines of a source without their indentation, and the names it defines."""
    lines = {line.strip() for line in source.split("\n", _MAX_LINES)[:_MAX_LINES]}
    # A name counts twice: it survives where a signature or a docstring is rewritten.
    names = {f"{name}{copy}" for name in _NAMED.findall(source) for copy in ("()", "(...)")}
    return (lines - _STUBS) | names


def _places_between(
    submitted: Sequence[Cell], released: Sequence[Pattern], found: Mapping[int, int]
) -> Iterator[tuple[int, int]]:
    """Match cells that students write into by their place between known neighbours, where the numbers agree."""
    taken = set(found.values())
    for gap in _gaps(released, found):
        first = found.get(gap[0] - 1, -1)
        last = found.get(gap[-1] + 1, len(submitted))
        left = [at for at in range(first + 1, last) if at not in taken and submitted[at]["source"].strip()]
        for kind in ("code", "markdown", "raw"):
            wanted = [place for place in gap if released[place].editable and released[place].cell_type == kind]
            there = [at for at in left if submitted[at]["cell_type"] == kind]
            if len(wanted) == len(there):
                yield from zip(wanted, there, strict=True)


def _gaps(released: Sequence[Pattern], found: Mapping[int, int]) -> Iterator[list[int]]:
    """Give the stretches of released cells that have not been found."""
    gap: list[int] = []
    for place in range(len(released)):
        if place not in found:
            gap.append(place)
        elif gap:
            yield gap
            gap = []
    if gap:
        yield gap
