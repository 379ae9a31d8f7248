"""What a notebook's cells hold: sources, nbgrader's names and checksums, and how to look at or exchange them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from coursekit.decoding import near
from coursekit.errors import GraderError, SpecError

Notebook = dict[str, Any]
"""A notebook of format 4.5 as Jupyter writes it, without outputs and with each source as one string."""

Cell = dict[str, Any]

DRAWN = "coursekit-"
"""How a cell id begins that no editor gave. It says nothing about which cell this is: two empty stubs look alike."""

CELL_TYPES = ("code", "markdown", "raw")


def grade_id(cell: Cell) -> str:
    """Give the name that nbgrader's metadata claims for the cell; empty if there is none."""
    claimed = cell["metadata"].get("nbgrader")
    name = claimed.get("grade_id") if isinstance(claimed, dict) else None
    return name if isinstance(name, str) else ""


def checksum(cell: Cell) -> str:
    """Give nbgrader's checksum of a cell that has a grade id, byte for byte as `nbgrader.utils.compute_checksum`."""
    claimed = cell["metadata"]["nbgrader"]
    grade, solution = bool(claimed.get("grade")), bool(claimed.get("solution"))
    locked = not solution and (grade or bool(claimed.get("locked")))
    parts = [cell["source"], cell["cell_type"], str(grade), str(solution), str(locked), claimed["grade_id"]]
    if grade:
        parts.append(str(float(claimed["points"])))
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def cell_of(cell_type: str, source: str, cell_id: str, metadata: dict[str, Any]) -> Cell:
    """Make a cell with the fields that its type must have, and no others."""
    cell: Cell = {"id": cell_id, "cell_type": cell_type, "metadata": metadata, "source": source}
    if cell_type == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell


def free_id(wish: str, source: str, taken: set[str]) -> str:
    """Give the wished cell id, or one drawn from the source if it is taken or empty; the same every time."""
    number = 0
    while not wish or wish in taken:
        wish = DRAWN + hashlib.sha256(f"{number}:{source}".encode()).hexdigest()[:12]
        number += 1
    taken.add(wish)
    return wish


def code_cells(notebook: Notebook) -> tuple[Cell, ...]:
    """Give the code cells in order."""
    return tuple(cell for cell in notebook["cells"] if cell["cell_type"] == "code")


def all_code(notebook: Notebook) -> str:
    """Give the sources of all code cells, with an empty line between them."""
    return "\n\n".join(cell["source"] for cell in code_cells(notebook))


def source_of(notebook: Notebook, name: str) -> str:
    """Give the source of the cell with this grade id; a check that asks for another is at fault (`GraderError`)."""
    sources = {grade_id(cell): cell["source"] for cell in notebook["cells"] if grade_id(cell)}
    if name not in sources:
        raise GraderError(f"the notebook has no cell with the grade id '{name}'.", fix=near(name, sources))
    source: str = sources[name]
    return source


def without_outputs(notebook: Notebook) -> Notebook:
    """Give the notebook as if it had never been run."""
    return notebook | {"cells": [_unrun(cell) for cell in notebook["cells"]]}


def _unrun(cell: Cell) -> Cell:
    return cell | {"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else dict(cell)


def replace_sources(notebook: Notebook, sources: Mapping[str, str]) -> Notebook:
    """Give the notebook with other sources in the cells of these grade ids, each of which must be there."""
    names = {grade_id(cell) for cell in notebook["cells"]} - {""}
    for name in sources:
        if name not in names:
            raise SpecError(f"there is no cell with the grade id '{name}'.", fix=near(name, sorted(names)))
    cells: Iterable[Cell] = notebook["cells"]
    return notebook | {"cells": [cell | {"source": sources.get(grade_id(cell), cell["source"])} for cell in cells]}
