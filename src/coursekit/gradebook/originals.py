"""The cells of an assignment as its author wrote them: the gradebook keeps the hidden tests, the release the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry, Notebook, SourceCell
from nbgrader.preprocessors import ClearHiddenTests, ClearMarkScheme

from coursekit.errors import AuthorError, CourseError
from coursekit.gradebook import database
from coursekit.gradebook.chatter import Chatter, hearing, listening
from coursekit.gradebook.configuration import Settings, configuration
from coursekit.gradebook.names import accept
from coursekit.gradebook.releasing import generated, release
from coursekit.records import GradedCell


def cells(settings: Settings, name: str) -> dict[str, tuple[GradedCell, ...]]:
    """Give, for each notebook of the assignment, its cells with nbgrader metadata in the order of the notebook.

    A plain course that has not been released yet is released first, since nbgrader's own commands would only ask for
    it. Raises CourseError if there is no such assignment, or it has not been released.
    """
    accept(name, "an assignment")
    database.prepare(settings.db_url)
    if settings.plain and (settings.source / name).is_dir():
        _fill(settings, name)
    with (
        listening(settings.root) as chatter,
        database.answering(settings.db_url),
        Gradebook(settings.db_url, settings.course_id) as book,
    ):
        notebooks = _find_notebooks(book, name)
        if not notebooks:
            fix = f"run `coursekit release {name}`."
            raise CourseError("the gradebook has no such assignment.", where=name, fix=fix)
        strip = _stripper(settings, chatter)
        return {notebook.name: _in_order(notebook, settings, name, strip) for notebook in notebooks}


def _fill(settings: Settings, name: str) -> None:
    """Make what a plain course lacks: the release, or only the entries in the gradebook if a release is there."""
    with (
        hearing(),
        database.answering(settings.db_url),
        Gradebook(settings.db_url, settings.course_id) as book,
    ):
        known = bool(_find_notebooks(book, name))
    if not (settings.release / name).is_dir():
        release(settings, name)
    elif not known:
        with generated(settings, name):
            pass  # the entries are what was wanted; the release stays as it was handed out


def _find_notebooks(book: Gradebook, name: str) -> Sequence[Notebook]:
    try:
        return list(book.find_assignment(name).notebooks)
    except MissingEntry:
        return []


def _stripper(settings: Settings, chatter: Chatter) -> Sequence[Any]:
    """Give nbgrader's preprocessors that take away what students do not get."""
    config = configuration(settings.root, chatter)
    return [kind(config=config, log=chatter.log) for kind in (ClearHiddenTests, ClearMarkScheme)]


def _in_order(notebook: Notebook, settings: Settings, name: str, strip: Sequence[Any]) -> tuple[GradedCell, ...]:
    """Give a notebook's cells as they stand in the release, or in the source if there is none."""
    released = _marked(settings.release / name / f"{notebook.name}.ipynb")
    order = list(released or _marked(settings.source / name / f"{notebook.name}.ipynb"))
    graded = {cell.name: cell.max_score for cell in notebook.grade_cells}
    tasks = {cell.name: cell.max_score for cell in notebook.task_cells}
    solutions = {cell.name for cell in notebook.solution_cells}
    known = {cell.name: cell for cell in notebook.source_cells}
    places = [cell_id for cell_id in order if cell_id in known]
    places += [cell_id for cell_id in known if cell_id not in order]
    return tuple(
        GradedCell(
            id=cell_id,
            cell_type=known[cell_id].cell_type,
            source=known[cell_id].source,
            released_source=_released_source(known[cell_id], released.get(cell_id), strip),
            points=graded.get(cell_id, tasks.get(cell_id)),
            grade=cell_id in graded,
            solution=cell_id in solutions,
            locked=known[cell_id].locked,
            task=cell_id in tasks,
            cell_id=str(released.get(cell_id, {}).get("id", "")),
        )
        for cell_id in places
    )


def _released_source(original: SourceCell, released: Mapping[str, Any] | None, strip: Sequence[Any]) -> str:
    """Give what students got of a cell; without a release, what nbgrader would have left."""
    if released is not None:
        source = released.get("source", "")
        return source if isinstance(source, str) else "".join(source)
    metadata = {"nbgrader": {"grade": True, "task": True}}  # the marks that allow hidden regions
    cell = NotebookNode(cell_type=original.cell_type, source=original.source, metadata=metadata)
    for step in strip:
        cell, _ = step.preprocess_cell(cell, {}, 0)
    return str(cell.source)


def _marked(path: Path) -> dict[str, Mapping[str, Any]]:
    """Give the cells of a notebook of the course that carry a grade id, in order; none if there is no such file."""
    if not path.is_file():
        return {}
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:
        raise AuthorError("this is not a notebook.", where=str(path), fix="release it again.") from error
    marks = ((cell.metadata.get("nbgrader", {}).get("grade_id"), cell) for cell in notebook.cells)
    return {grade_id: cell for grade_id, cell in marks if grade_id}
