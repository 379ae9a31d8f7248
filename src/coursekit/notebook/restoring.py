"""How the notebook that will be run is made: the student's answers in the instructor's frame.

Graded cells stand in the order of the release and have its type and metadata. Locked cells have its source too, with
the hidden tests. What students wrote elsewhere stays behind the graded cell that it followed. Nothing that a
submission says about points, locks or grade ids survives.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from coursekit.errors import UnreadableWork
from coursekit.notebook.cells import Cell, Notebook, cell_of, checksum, free_id, grade_id
from coursekit.notebook.matching import Matches, Pattern, match
from coursekit.records import GradedCell, Record

_MAX_NAMES = 8
"""So many cells are named in one note; more are counted."""


class _Slot(Record, frozen=True, kw_only=True):
    """A cell of the release, and what the gradebook knows of it if it is graded."""

    released: Cell
    record: GradedCell | None


class _Graded(Record, frozen=True):
    """The graded cell at this place of the release."""

    place: int


class _Own(Record, frozen=True):
    """The student's own cell at this place of the submission."""

    at: int


_Order = list[_Graded | _Own]


class _Changes(msgspec.Struct, kw_only=True):
    """Grade ids by what was done to their cells."""

    rewritten: list[str] = []
    returned: list[str] = []
    stubbed: list[str] = []
    retyped: list[str] = []
    renamed: list[str] = []


def restore(submitted: Notebook, released: Notebook, cells: Sequence[GradedCell]) -> tuple[Notebook, tuple[str, ...]]:
    """Give the notebook that will be run, and what had to be put right in it as sentences for the student.

    `released` is what students were given, `cells` what the gradebook knows of its graded cells. A notebook that has
    no cell in common with the release is `UnreadableWork`.
    """
    slots = _slots(released, cells)
    matches = match(submitted["cells"], [_pattern(slot) for slot in slots])
    if cells and not matches.sure:
        raise _another_assignment(submitted, cells)
    changes = _Changes()
    graded = {
        place: _graded_cell(slot.released, slot.record, _at(submitted, matches.found.get(place)), changes)
        for place, slot in enumerate(slots)
        if slot.record
    }
    taken = {cell["id"] for cell in graded.values()}
    order = _in_order(slots, matches.found, len(submitted["cells"]))
    restored = [
        graded[one.place] if isinstance(one, _Graded) else _own_cell(submitted["cells"][one.at], taken) for one in order
    ]
    notebook = {
        "cells": restored,
        "metadata": copy.deepcopy(released["metadata"]),
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return notebook, tuple(_notes(submitted, released, matches, changes, slots))


# --- The frame -------------------------------------------------------------------------------------------------------


def _slots(released: Notebook, cells: Sequence[GradedCell]) -> list[_Slot]:
    """Give the cells of the release, each with what the gradebook knows of it; a graded cell it lacks comes last."""
    records = {record.id: record for record in cells}
    taken = {cell["id"] for cell in released["cells"]}
    slots = [_Slot(released=cell, record=records.pop(grade_id(cell), None)) for cell in released["cells"]]
    return slots + [_Slot(released=_from_record(record, taken), record=record) for record in records.values()]


def _from_record(record: GradedCell, taken: set[str]) -> Cell:
    """Give the released cell that the gradebook remembers where the released notebook itself has it no more."""
    claimed: dict[str, Any] = {
        "grade": record.grade,
        "grade_id": record.id,
        "locked": record.locked,
        "schema_version": 3,
        "solution": record.solution,
        "task": record.task,
    }
    if record.points is not None:
        claimed["points"] = record.points
    cell_id = free_id(record.cell_id, record.released_source, taken)
    cell = cell_of(record.cell_type, record.released_source, cell_id, {"nbgrader": claimed})
    claimed |= {"cell_type": record.cell_type, "checksum": checksum(cell)}
    return cell


def _pattern(slot: _Slot) -> Pattern:
    record, cell = slot.record, slot.released
    sources = (cell["source"], record.source) if record else (cell["source"],)
    return Pattern(
        grade_id=record.id if record else "",
        cell_id=cell["id"],
        cell_type=cell["cell_type"],
        sources=tuple(dict.fromkeys(sources)),
        editable=record is not None and not _is_locked(record),
    )


def _at(notebook: Notebook, at: int | None) -> Cell | None:
    return None if at is None else notebook["cells"][at]


def _is_locked(record: GradedCell) -> bool:
    """True if the source is the instructor's: nbgrader's own rule."""
    return not record.solution and (record.grade or record.locked)


def _graded_cell(released: Cell, record: GradedCell, theirs: Cell | None, changes: _Changes) -> Cell:
    """Give a graded cell as it will be run, and write down what was done to it."""
    locked = _is_locked(record)
    source = record.source if locked or theirs is None else theirs["source"]
    metadata = copy.deepcopy(released["metadata"])
    cell = cell_of(record.cell_type, source, released["id"], metadata)
    if locked and source != released["source"]:
        metadata["nbgrader"]["checksum"] = checksum(cell)
    if theirs is None:
        (changes.returned if locked else changes.stubbed).append(record.id)
        return cell
    if locked and theirs["source"].strip() not in {record.source.strip(), record.released_source.strip()}:
        changes.rewritten.append(record.id)
    if not locked and theirs["cell_type"] != record.cell_type:
        changes.retyped.append(record.id)
    if grade_id(theirs) != record.id:
        changes.renamed.append(record.id)
    if not locked and record.cell_type != "code" and "attachments" in theirs:
        cell["attachments"] = theirs["attachments"]
    return cell


def _own_cell(theirs: Cell, taken: set[str]) -> Cell:
    """Give a cell of the student's own, which no longer claims to be anything else."""
    metadata = {name: value for name, value in theirs["metadata"].items() if name != "nbgrader"}
    cell = cell_of(theirs["cell_type"], theirs["source"], free_id(theirs["id"], theirs["source"], taken), metadata)
    return cell | {"attachments": theirs["attachments"]} if "attachments" in theirs else cell


# --- The order -------------------------------------------------------------------------------------------------------


def _in_order(slots: Sequence[_Slot], found: Mapping[int, int], count: int) -> _Order:
    """Give what stands where in the notebook that will be run, for a submission of so many cells."""
    graded = {place: slot.record for place, slot in enumerate(slots) if slot.record}
    tails = _tails(graded, found, count)
    known = {at: place for place, at in found.items()}
    order: _Order = list(tails[-1])
    for place, record in graded.items():
        if place in found:
            order += [_Graded(place), *tails[place]]
        else:
            is_test = record.grade and _is_locked(record)
            order.insert(_opening(order, place, known, early=not is_test), _Graded(place))
    return order


def _tails(graded: Iterable[int], found: Mapping[int, int], count: int) -> dict[int, list[_Own]]:
    """Give the student's own cells by the graded cell that they followed; -1 is the head of the notebook."""
    place_at = {found[place]: place for place in graded if place in found}
    tails: dict[int, list[_Own]] = {-1: []}
    current = -1
    for at in range(count):
        if at in place_at:
            current = place_at[at]
            tails[current] = []
        else:
            tails[current].append(_Own(at))
    return tails


def _opening(order: _Order, place: int, known: Mapping[int, int], *, early: bool) -> int:
    """Give where a lost cell goes among the student's own cells at the end of what stands already.

    It stays between the ungraded cells of the release that are still there. Between those, a test comes late, for it
    asks about what was written before; anything else comes early, so that an empty answer hides no real one.
    """
    tail = list(itertools.takewhile(lambda one: isinstance(one, _Own), reversed(order)))[::-1]
    start = len(order) - len(tail)
    places = [known.get(one.at, place) for one in tail if isinstance(one, _Own)]
    low = max((number + 1 for number, other in enumerate(places) if other < place), default=0)
    later = (number for number, other in enumerate(places) if other > place and number >= low)
    return start + (low if early else next(later, len(places)))


# --- What the student is told ----------------------------------------------------------------------------------------


def _notes(
    submitted: Notebook, released: Notebook, matches: Matches, changes: _Changes, slots: Sequence[_Slot]
) -> Iterable[str]:
    """Give a sentence for each kind of repair."""
    places = [at for place, at in sorted(matches.found.items()) if slots[place].record]
    ours = {slot.record.id for slot in slots if slot.record}
    strange = list(dict.fromkeys(grade_id(cell) for cell in submitted["cells"]))
    repeated = [slot.record.id for slot in slots if slot.record and slot.record.id in matches.repeated]
    language = _language(submitted)
    if language and language != _language(released):
        yield f"The notebook asks for a kernel of another language; it is run with {_language(released) or 'python'}."
    if changes.returned:
        yield f"{_cells(changes.returned, 'was', 'were')} missing and put back as released."
    if changes.stubbed:
        yield f"{_cells(changes.stubbed, 'was', 'were')} missing and put back without an answer."
    if changes.rewritten:
        yield f"{_cells(changes.rewritten, 'is', 'are')} locked and had been changed; the released text was put back."
    if changes.retyped:
        yield f"{_cells(changes.retyped, 'had', 'had')} been turned into another type of cell; this was undone."
    if changes.renamed:
        kept = _cells(changes.renamed, "had lost the name it is", "had lost the name they are")
        yield f"{kept} graded by and got it back."
    if repeated:
        yield f"{_cells(repeated, 'is', 'are')} in the notebook more than once; the last copy is graded."
    if places != sorted(places):
        yield "The graded cells were in another order; the order of the release was put back."
    if any(name and name not in ours for name in strange):
        yield "Some cells are marked as graded cells that this assignment does not have; they count as your own."


def _cells(names: Sequence[str], one: str, more: str) -> str:
    listed = ", ".join(f"'{name}'" for name in names[:_MAX_NAMES])
    if len(names) > _MAX_NAMES:
        listed += f" and {len(names) - _MAX_NAMES} more"
    return f"The cell {listed} {one}" if len(names) == 1 else f"The cells {listed} {more}"


def _language(notebook: Notebook) -> str:
    metadata = notebook["metadata"]
    named = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language", "")
    return str(named).lower()


def _another_assignment(submitted: Notebook, cells: Sequence[GradedCell]) -> UnreadableWork:
    theirs = [name for name in dict.fromkeys(map(grade_id, submitted["cells"])) if name]
    has = f"it has {_listed(theirs)}" if theirs else "it has none of the released cells"
    what = f"This looks like a notebook for another assignment ({has}; this one has {_listed([c.id for c in cells])})."
    return UnreadableWork(what, fix="hand in the notebook of this assignment.")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name[:40]}'" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
