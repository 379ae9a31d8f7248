"""Making the folder of a new assignment: small, complete, and proved by `coursekit prove` before a word is changed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat import v4

from coursekit import course
from coursekit.errors import CourseError

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,62}")

_COURSE = "title: A course on machine-learning systems\nterm: ''\ngradebook: sqlite:///gradebook.db\n"
_IGNORED = "/release/\n/submitted/\n/autograded/\n/feedback/\n/scores/\n/.kept/\n/gradebook.db*\n.seed\n__pycache__/\n"
NBGRADER_FILE = "nbgrader_config.py"
NBGRADER = '''"""So that nbgrader's own commands and its formgrader find this course."""

c = get_config()  # noqa: F821 - nbgrader defines it
c.CourseDirectory.source_directory = "assignments"
'''

_ASSIGNMENT = """\
name: {name}
title: {title}
notebook: {name}.ipynb
limits: {{seconds: 120, cell_seconds: 30, memory_bytes: 2_000_000_000}}

# Declare the file that the notebook makes, and measure it:
# artifact: {{path: model.tflite, made_by: notebook, max_bytes: 1_000_000}}
# targets:
#   - {{id: size, metric: file_bytes, at_most: {{pass: 50_000, full: 35_000}}, points: 10}}
# A target with `needs: [five]` counts only where the check `five` passed.
"""

_PUBLIC = '''"""Checks that students have: `coursekit check` runs them."""

import pytest


@pytest.mark.points(2, id="five")
def test_five(kernel):
    """double(5) is 10."""
    assert kernel.call("double", 5, returns=float) == 10, "Twice five is ten."
'''

_HIDDEN = '''"""Checks that students do not have: inputs are drawn here and values compared here."""

import numpy as np
import pytest

from coursekit.wire import Array


@pytest.mark.points(3, id="arrays")
def test_arrays(kernel, rng):
    """double works on arrays, element by element."""
    x = rng.normal(size=8)
    doubled = kernel.call("double", x, returns=Array(shape=(8,)))
    assert np.allclose(doubled, 2 * x), "Every element has to be doubled."
'''

_WRONG = """\
why: It adds instead of doubling, which is right for one number only.
cells:
  answer: |
    def double(x):
        return x + 5
earns: {arrays: 0}
"""

_ANSWER = """\
def double(x):
    \"\"\"Twice x, a number or an array.\"\"\"
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
"""


def new(start: Path, name: str, *, title: str = "", dry_run: bool = False) -> list[str]:
    """Make the files of an assignment, and of a course if there is none; their paths below the course folder.

    Raises CourseError if the name cannot be one, or is taken.
    """
    if not _SLUG.fullmatch(name):
        raise CourseError(f"an assignment cannot be called '{name}'.", fix="use small letters, digits and dashes")
    root = _root(start)
    if (root / "assignments" / name).exists() or (root / "autograder" / name).exists():
        raise CourseError(f"there is an assignment called '{name}' already.", where=str(root / "assignments" / name))
    title = title or name.replace("-", " ").capitalize()
    files = _course_files(root) | _assignment_files(name, title)
    if not dry_run:
        for path, text in files.items():
            course.write(root / path, text.encode())
    return list(files)


def _root(start: Path) -> Path:
    """The course folder above, or here if this is to become one."""
    try:
        return course.find(start)
    except CourseError:
        return start.resolve()


def _course_files(root: Path) -> dict[str, str]:
    wanted = {course.COURSE_FILE: _COURSE, NBGRADER_FILE: NBGRADER, ".gitignore": _IGNORED}
    return {path: text for path, text in wanted.items() if not (root / path).exists()}


def _assignment_files(name: str, title: str) -> dict[str, str]:
    ours, hidden = f"assignments/{name}", f"autograder/{name}"
    return {
        f"{ours}/assignment.yaml": _ASSIGNMENT.format(name=name, title=title),
        f"{ours}/{name}.ipynb": nbformat.writes(_notebook(title)) + "\n",
        f"{ours}/checks/test_public.py": _PUBLIC,
        f"{hidden}/test_{name.replace('-', '_')}.py": _HIDDEN,
        f"{hidden}/wrong/adds.yaml": _WRONG,
    }


def _notebook(title: str) -> nbformat.NotebookNode:
    answer = marks("answer", solution=True)
    why = marks("why", solution=True, grade=True, points=5)
    cells = [
        v4.new_markdown_cell(f"# {title}\n\nWrite `double(x)`.", id="title"),
        v4.new_code_cell(_ANSWER, id="answer", metadata=answer),
        *(check_cell(check, points) for check, points in (("five", 2), ("arrays", 3))),
        v4.new_markdown_cell("Why does this work for arrays too?", id="question"),
        v4.new_markdown_cell("Because NumPy multiplies element by element.", id="why", metadata=why),
    ]
    nb = v4.new_notebook(cells=cells)
    nb.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nb


def check_cell(check: str, points: int) -> nbformat.NotebookNode:
    """The locked cell that stands for a check."""
    source = f"# Check: {check} ({points} points). `%check` runs the public ones."
    return v4.new_code_cell(source, id=check, metadata=marks(check, grade=True, locked=True, points=points))


def marks(
    grade_id: str, *, grade: bool = False, solution: bool = False, locked: bool = False, points: int | None = None
) -> dict[str, Any]:
    """The metadata of nbgrader, schema 3."""
    found: dict[str, Any] = {"schema_version": 3, "grade_id": grade_id, "grade": grade, "solution": solution}
    found |= {"locked": locked, "task": False}
    return {"nbgrader": found if points is None else found | {"points": points}}
