"""The student copy of an assignment, made by nbgrader's own converter, with its metadata and database entries."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from nbgrader.api import Gradebook, InvalidEntry
from nbgrader.converters import GenerateAssignment
from nbgrader.nbgraderformat import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from coursekit.errors import AuthorError, CourseError, CoursekitError
from coursekit.gradebook import database
from coursekit.gradebook.chatter import Chatter, hearing, listening, one_line
from coursekit.gradebook.configuration import Settings, configuration, course_directory
from coursekit.gradebook.folders import put_in_place
from coursekit.gradebook.names import accept
from coursekit.making import beside


def release(settings: Settings, name: str, *, due: datetime | None = None) -> Path:
    """Write `release/NAME` and the assignment's entries in the gradebook; give the folder.

    Releasing again replaces the folder, and only once the new one is whole. In a course of ours `due` is the due
    time even if it is None; in a plain one None leaves what the gradebook has.
    Raises AuthorError, in nbgrader's words, if it refuses the assignment.
    """
    with generated(settings, name) as fresh:
        database.prepare(settings.db_url)
        if due is not None or not settings.plain:
            _set_due(settings, name, due)
        return put_in_place(fresh, settings.release / name)


@contextlib.contextmanager
def generated(settings: Settings, name: str) -> Iterator[Path]:
    """Run nbgrader's GenerateAssignment into a folder that is gone after the block; the gradebook has the entries."""
    accept(name, "an assignment")
    source = settings.source / name
    _refuse_unready(settings, source)
    database.prepare(settings.db_url)
    settings.release.mkdir(parents=True, exist_ok=True)
    with beside(settings.release) as scratch:
        with listening(settings.root) as chatter:
            try:
                _convert(settings, name, scratch, chatter)
            except (Exception, SystemExit) as error:  # nbgrader raises what its parts do
                raise _refusal(chatter.cause(error), chatter, settings, source) from error
        yield scratch / name


def _convert(settings: Settings, name: str, out: Path, chatter: Chatter) -> None:
    config = configuration(settings.root, chatter)
    folder = course_directory(config, settings.root, chatter)
    folder.source_directory = str(settings.source)
    folder.release_directory = str(out)
    folder.db_url = settings.db_url
    folder.course_id = settings.course_id
    folder.assignment_id = name
    folder.notebook_id = "*"
    converter = GenerateAssignment(coursedir=folder, config=config, log=chatter.log)
    converter.create_assignment = True
    converter.start()


def _refuse_unready(settings: Settings, source: Path) -> None:
    if not source.is_dir():
        there = sorted(path.name for path in settings.source.glob("[!.]*/") if path.is_dir())
        fix = f"there are: {', '.join(there)}." if there else f"make it in {settings.source}."
        raise CourseError("there is no assignment of this name.", where=str(source), fix=fix)
    if not any(source.glob("*.ipynb")):
        raise CourseError("the assignment has no notebook.", where=str(source), fix="add NAME.ipynb to it.")
    if not settings.plain:
        _refuse_links(source)


def _refuse_links(source: Path) -> None:
    """Refuse what is no ordinary file: a link would be followed, perhaps to hidden checks, a FIFO waited for."""
    for folder, folders, files in os.walk(source):
        for entry in (*folders, *files):
            path = Path(folder) / entry
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                fix = "put the file itself there, or take it out."
                raise AuthorError("only files and folders can be released; this is neither.", where=str(path), fix=fix)


def _set_due(settings: Settings, name: str, due: datetime | None) -> None:
    with (
        hearing(),
        database.answering(settings.db_url),
        Gradebook(settings.db_url, settings.course_id) as book,
    ):
        book.update_or_create_assignment(name, duedate=due)


# --- nbgrader's refusals ---------------------------------------------------------------------------------------------

_FIXES = (
    ("are submissions associated with it", "grade them with it as it was, or give the new one another name."),
    ("Duplicate grade id", "give each cell a grade_id of its own."),
    ("does not have points", "give the cell points in its nbgrader metadata."),
    ("is not marked as a solution cell", "mark the cell as manually graded, or make it a code cell."),
    ("is not marked as a grade cell", "mark the cell as manually graded, or take its nbgrader metadata off."),
    ("does not have a grade_id", "give the cell a grade_id in its nbgrader metadata."),
    ("old version", "run `nbgrader update .` in the course folder, after a backup."),
    ("Outdated schema version", "run `nbgrader update .` in the course folder, after a backup."),
    ("newer version", "update nbgrader."),
    ("Schema version is too new", "update nbgrader."),
    ("end solution statement", "close each ### BEGIN SOLUTION with ### END SOLUTION."),
    ("end hidden tests statement", "close each ### BEGIN HIDDEN TESTS with ### END HIDDEN TESTS."),
    ("Solution region detected in a non-solution cell", "mark that cell as a solution in its nbgrader metadata."),
    ("Hidden test region detected in a non-grade cell", "mark that cell as autograder tests in its metadata."),
    ("JSON", "save the notebook again from Jupyter."),
)


def _refusal(error: BaseException, chatter: Chatter, settings: Settings, source: Path) -> CoursekitError:
    """Give nbgrader's refusal as an error of ours, addressed to whoever must act."""
    if isinstance(error, CoursekitError):
        return error
    where = str(source / chatter.notebook.name) if chatter.notebook else str(source)
    mend = "correct the metadata, or mark the cell again in Jupyter."
    if "defined enum values" in str(error):  # SQLAlchemy's words for a kind of cell that nbgrader has no column for
        return AuthorError("only code and markdown cells can be graded or locked.", where=where, fix=mend)
    if isinstance(error, InvalidEntry | SQLAlchemyError):
        return database.explained(error, settings.db_url)
    if isinstance(error, KeyError):
        return AuthorError(f"the nbgrader metadata of a cell lacks {error.args[0]!r}.", where=where, fix=mend)
    said = one_line(str(getattr(error, "message", "") or error)) or type(error).__name__
    fix = next((fix for words, fix in _FIXES if words in said), "")
    if isinstance(error, ValidationError) and error.absolute_path:
        said = f"in the nbgrader metadata of a cell, {'.'.join(map(str, error.absolute_path))}: {said}"
        fix = mend
    return AuthorError(f"nbgrader refuses it: {said.rstrip('.')}.", where=where, fix=fix)
