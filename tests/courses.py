"""Light courses without TensorFlow: one graded submission takes a second or two.

`doubling` is what `coursekit new` makes; `shrink` has a model to make too, whose bytes stand in its notebook.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import v4

import models
from coursekit import batch, notebook, release, scaffold
from coursekit.records import Check, Score

LIMITS = "limits: {seconds: 60, cell_seconds: 5, memory_bytes: 1_000_000_000}\n"


MODEL = models.dense_float(4, 3)
"""What the reference of `shrink` writes: y = W x, so its accuracy on labels made with W is 1."""


# --- Making a course -------------------------------------------------------------------------------------------------


def make(
    root: Path,
    name: str = "doubling",
    *,
    facts: str = "",
    checks: Mapping[str, float] | None = None,
    cells: tuple[Any, ...] = (),
    hidden: Mapping[str, str] | None = None,
) -> Path:
    """What `coursekit new` makes, and more: lines of assignment.yaml, check cells, other cells, hidden files."""
    scaffold.new(root, name)
    folder = root / "assignments" / name
    facts_file = folder / "assignment.yaml"
    facts_file.write_text(f"name: {name}\ntitle: {name.capitalize()}\nnotebook: {name}.ipynb\n{LIMITS}{facts}")
    nb = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    nb.cells += [*cells, *(check_cell(check, points) for check, points in (checks or {}).items())]
    nbformat.write(nb, folder / f"{name}.ipynb")
    for file, text in (hidden or {}).items():
        (root / "autograder" / name / file).write_text(text)
    return root


def marked(cell: Any, grade_id: str, **flags: Any) -> Any:
    """The cell with nbgrader's metadata."""
    claimed = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    cell.metadata["nbgrader"] = {**claimed, **flags, "grade_id": grade_id}
    cell.id = grade_id
    return cell


def check_cell(grade_id: str, points: float, source: str = "# A check of coursekit.") -> Any:
    """A locked cell for a check, or with asserts of its own."""
    return marked(v4.new_code_cell(source), grade_id, grade=True, locked=True, points=points)


def answer_cell(grade_id: str, source: str) -> Any:
    """A cell for students to write in; the reference's answer is cut from the release."""
    return marked(v4.new_code_cell(f"### BEGIN SOLUTION\n{source}\n### END SOLUTION"), grade_id, solution=True)


def writes(data: bytes, path: str = "model.tflite") -> str:
    """Code that writes these bytes."""
    text = base64.b64encode(data).decode()
    return f"import base64, pathlib\npathlib.Path({path!r}).write_bytes(base64.b64decode({text!r}))"


SHRINK_FACTS = """\
artifact: {path: model.tflite, max_bytes: 20_000}
targets:
  - {id: size, metric: file_bytes, at_most: {pass: 4_000, full: 2_000}, points: 4}
  - {id: accuracy, metric: accuracy, data: hidden, at_least: {pass: 0.6, full: 0.9}, points: 3}
"""

SHRINK_DATA = '''\
"""Points in four dimensions, and which of three planes they are farthest from."""

import numpy as np

W = np.array([[1, 2, 3, 4], [5, 6, 7, 1], [2, 3, 4, 5]], "float32")


def data(rng):
    x = rng.normal(size=(50, 4)).astype("float32")
    return x, (x @ W.T).argmax(axis=1)
'''


def make_shrink(root: Path) -> Path:
    """The course with a model, not released."""
    return make(
        root,
        "shrink",
        facts=SHRINK_FACTS,
        cells=(answer_cell("export", writes(MODEL)),),
        checks={"size": 4, "accuracy": 3},
        hidden={"hidden.py": SHRINK_DATA},
    )


def released(root: Path, name: str) -> Path:
    """The course, with this assignment released."""
    release.release(root, name)
    return root


def copy(template: Path, to: Path) -> Path:
    """A course of one's own, from one that was released before."""
    return Path(shutil.copytree(template, to / "course"))


# --- Handing in and grading ------------------------------------------------------------------------------------------


def reference(root: Path, name: str) -> dict[str, Any]:
    """The notebook with every answer right."""
    text = (root / "assignments" / name / f"{name}.ipynb").read_text()
    nb: dict[str, Any] = json.loads(text)
    return nb


def submit(
    root: Path,
    student: str,
    cells: Mapping[str, str] | None = None,
    *,
    name: str = "doubling",
    data: bytes | None = None,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Hand in the reference with these cells replaced, or these bytes instead of it, and other files beside it."""
    folder = root / "submitted" / student / name
    folder.mkdir(parents=True)
    if data is None:
        data = json.dumps(notebook.replace_sources(reference(root, name), cells or {})).encode()
    (folder / f"{name}.ipynb").write_bytes(data)
    for path, text in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def quiet(student: str, score: Score | None) -> None:
    """Nobody is watching."""


def grade(root: Path, *students: str, name: str = "doubling", **options: Any) -> dict[str, Score]:
    """Grade what was handed in; the scores by student."""
    scores = batch.grade_class(root, name, students=students, **{"progress": quiet, **options})
    return {score.student: score for score in scores}


def by_id(score: Score) -> dict[str, Check]:
    """The checks of a score by their ids."""
    return {check.id: check for check in score.checks}


def outcomes(score: Score) -> dict[str, str]:
    """What became of each check."""
    return {check.id: check.outcome for check in score.checks}
