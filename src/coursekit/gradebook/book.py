"""nbgrader's gradebook, open: scores go in, and what people marked comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import nbgrader.api as nb
from nbformat import v4
from nbgrader.preprocessors import AssignLatePenalties
from sqlalchemy.exc import SQLAlchemyError

from coursekit.cellgrades import ids_among
from coursekit.errors import CourseError
from coursekit.gradebook import database, recording
from coursekit.gradebook.chatter import hearing, listening, one_line
from coursekit.gradebook.configuration import CONFIG_FILE, Settings, configuration
from coursekit.gradebook.names import accept
from coursekit.ingredients import sha256
from coursekit.records import GradedCell, Record, Score


class Student(Record, frozen=True, kw_only=True):
    """A student as the gradebook knows them; what it does not know is empty."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""


class Total(Record, frozen=True, kw_only=True):
    """What a submission has in the gradebook: points of the grader, marks of people and extra credit together."""

    points: float
    """Before the late penalty."""
    penalty: float
    possible: float
    waiting: bool
    """True if a person has yet to mark a cell, or to look at a mark again."""


class Gradebook:
    """nbgrader's database, open for as long as the `with` block; one process writes at a time, from one thread.

    Every failure of the database is a GradebookError, every name it lacks a CourseError.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._book: nb.Gradebook = None

    def __enter__(self) -> Self:
        database.prepare(self._settings.db_url)
        with self._working(""):
            self._book = nb.Gradebook(self._settings.db_url, self._settings.course_id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._book.close()

    def record(
        self,
        score: Score,
        cells: Mapping[str, Sequence[GradedCell]],
        executed: Mapping[str, Mapping[str, Any]],
        submitted_at: datetime | None,
        *,
        penalties: Mapping[str, float] | None = None,
    ) -> None:
        """Write a score: points per cell, the automatic comments, the time of submission and the late penalty.

        `cells` and `executed` are keyed by notebook; a notebook that is not in `executed` was not handed in.
        `penalties` are points per notebook; without them the penalty of the score's grade is spread over the notebooks
        in proportion to their points. Marks, comments and extra credit that people gave stay.
        """
        accept(score.student, "a student")
        with self._working(score.assignment):
            recording.record(self._book, score, cells, executed, submitted_at, penalties=penalties)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """One transaction for all that is recorded in this block; nothing of it is kept if it raises.

        nbgrader commits at every step; here its session takes part in a transaction that only the end commits.
        """
        with self._working(""), self._book.engine.connect() as connection, connection.begin():
            self._book.db.remove()
            self._book.db.configure(bind=connection, join_transaction_mode="rollback_only")
            try:
                yield
            finally:
                self._book.db.remove()
                self._book.db.configure(bind=self._book.engine, join_transaction_mode="conditional_savepoint")

    def penalize(self, student: str, name: str, penalty: float) -> None:
        """Write the points that lateness costs, spread over the notebooks in proportion to their scores."""
        with self._working(name):
            notebooks = self._book.find_submission(name, student).notebooks
            shares = recording.spread(penalty, {notebook.name: notebook.score for notebook in notebooks})
            for notebook in notebooks:
                notebook.late_submission_penalty = shares.get(notebook.name)
            self._book.db.commit()

    def late(self, name: str, students: Sequence[str]) -> set[str]:
        """Give those of these students whose recorded submission is late, as nbgrader counts: extensions are in it."""
        with self._working(name):
            found = recording.submissions(self._book, name, students)
            late = {submission.student_id for submission in found if submission.total_seconds_late > 0}
            self._book.db.rollback()  # a server must not wait for this transaction while a class is graded
            return late

    def late_penalty(self, student: str, name: str) -> dict[str, float]:
        """Give the points that nbgrader's late policy, as the course configures it, takes off each notebook.

        Call it after `record`: the policy is asked about recorded points and times, and its answer is recorded too.
        """
        with self._working(name):
            stems = [notebook.name for notebook in self._book.find_submission(name, student).notebooks]
            self._book.db.commit()  # the policy writes through a connection of its own
            self._ask_policy(student, name, stems)
            self._book.db.expire_all()
            notebooks = self._book.find_submission(name, student).notebooks
            return {notebook.name: notebook.late_submission_penalty or 0.0 for notebook in notebooks}

    def marks(self, name: str) -> dict[str, dict[str, float]]:
        """Give student -> check id -> the mark a person gave, for cells that have one."""
        with self._working(name):
            submissions = self._book.find_assignment(name).submissions
            ids = self._ids(name)
            return {
                submission.student.id: {
                    ids[notebook.name, grade.name]: grade.manual_score
                    for notebook in submission.notebooks
                    for grade in notebook.grades
                    if grade.manual_score is not None
                }
                for submission in submissions
            }

    def recorded(self, name: str, students: Sequence[str] = ()) -> dict[str, str]:
        """Give student -> a hash of the points that the grader gave them, cell by cell, as the database holds them.

        One query for the class, or for some students. What people gave is not in it.
        """
        with self._working(name):
            points: dict[str, list[tuple[str, str, float | None]]] = {}
            for whose, *cell in recording.automatic(self._book, name, students):
                points.setdefault(whose, []).append(tuple(cell))
            self._book.db.rollback()  # a server must not wait for this transaction while a class is graded
            return {whose: sha256(sorted(cells, key=lambda cell: cell[:2])) for whose, cells in points.items()}

    def totals(self, name: str) -> dict[str, Total]:
        """Give student -> what the gradebook holds for their submission of an assignment."""
        with self._working(name):
            return {
                submission.student.id: Total(
                    points=submission.score,
                    penalty=submission.late_submission_penalty,
                    possible=submission.max_score,
                    waiting=submission.needs_manual_grade,
                )
                for submission in self._book.find_assignment(name).submissions
            }

    def possible(self, name: str) -> float:
        """Give the points of an assignment."""
        with self._working(name):
            return float(self._book.find_assignment(name).max_score)

    def students(self) -> tuple[Student, ...]:
        """Give everyone in the gradebook, by name."""
        with self._working(""):
            return tuple(
                Student(
                    id=student.id,
                    first_name=student.first_name or "",
                    last_name=student.last_name or "",
                    email=student.email or "",
                    lms_user_id=student.lms_user_id or "",
                )
                for student in self._book.students
            )

    def _ids(self, name: str) -> dict[tuple[str, str], str]:
        notebooks = self._book.find_assignment(name).notebooks
        return ids_among({notebook.name: [cell.name for cell in notebook.source_cells] for notebook in notebooks})

    def _ask_policy(self, student: str, name: str, stems: Sequence[str]) -> None:
        """Have nbgrader ask it. Raises CourseError for whatever else than the database fails: it is a program."""
        with listening(self._settings.root) as chatter:
            config = configuration(self._settings.root, chatter)
            try:
                policy = AssignLatePenalties(config=config, log=chatter.log)
                for stem in stems:
                    about = {"assignment": name, "student": student, "notebook": stem, "db_url": self._settings.db_url}
                    policy.preprocess(v4.new_notebook(), {"nbgrader": about})
            except (SQLAlchemyError, nb.MissingEntry):
                raise
            except Exception as error:
                what = f"the late policy broke: {one_line(f'{type(error).__name__}: {error}')}."
                fix = "correct the plugin that AssignLatePenalties.plugin_class names, and grade again."
                raise CourseError(what, where=str(self._settings.root / CONFIG_FILE), fix=fix) from error

    @contextlib.contextmanager
    def _working(self, name: str) -> Iterator[None]:
        """Keep nbgrader quiet, undo what is half done when something fails, and say whose move it is."""
        with hearing(), database.answering(self._settings.db_url):
            try:
                yield
            except nb.MissingEntry as error:
                self._book.db.rollback()
                fix = f"run `coursekit release {name}`, and grade again."
                raise CourseError(f"the gradebook lacks it: {one_line(str(error))}.", where=name, fix=fix) from error
            except BaseException:
                if self._book is not None:
                    self._book.db.rollback()
                raise
