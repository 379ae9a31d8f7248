"""A student's own check of their work: the same run, checks and measurements as the grader's, without what is hidden.

It works in a released folder with nothing but coursekit installed: no gradebook, no course.
"""

from __future__ import annotations

import json
import tempfile
import threading
from pathlib import Path
from typing import Any

from coursekit import cellgrades, examiner, notebook, sandbox, scoring, specs
from coursekit.errors import MissingWork, SandboxError
from coursekit.plainfile import plain_files, read_below
from coursekit.records import Assignment, GradedCell, SandboxName, Score
from coursekit.tasks import Task

_MOST_BYTES = 110_000_000
_DATA_BYTES = 500_000_000
STUDENT = "you"


def check(folder: Path, box: SandboxName | None = None) -> Score:
    """Score the work in a released folder.

    Without `box` one is used where one can be made: it is the student's own work on their own machine.
    Raises MissingWork if the folder holds no assignment or no notebook.
    """
    spec = assignment(folder)
    nb = notebook.parse(read_below(folder, spec.notebook, _MOST_BYTES), spec.notebook)
    cells = graded_cells(nb)
    with tempfile.TemporaryDirectory(prefix="coursekit-", ignore_cleanup_errors=True) as scratch:
        task = _task(folder, spec, nb, Path(scratch), box or available())
        examination = examiner.examine(task, threading.Event())
        ran = Path(scratch) / "executed.ipynb"
        executed = json.loads(ran.read_bytes()) if ran.is_file() else nb
    ours = {each.id for each in examination.checks}
    own = tuple(cell for cell in cells if cell.id not in ours and specs.has_test(cell.source))
    place = {cell.id: at for at, cell in enumerate(cells)}
    checks = [*examination.checks, *cellgrades.grade_cells(own, executed)]
    checks.sort(key=lambda each: place.get(each.id, len(place)))
    automatic = [cell for cell in cells if cell.grade and not cell.manual]
    return scoring.score(
        spec,
        STUDENT,
        checks,
        withheld=len(automatic) - len({cell.id for cell in automatic} & {each.id for each in checks}),
        run=examination.run,
        broken=examination.broken,
    )


def assignment(folder: Path) -> Assignment:
    """The assignment that a released folder is of. Raises MissingWork if it is of none."""
    file = folder / "assignment.yaml"
    if not file.is_file():
        raise MissingWork(
            "there is no assignment here: no assignment.yaml.",
            where=str(folder),
            fix="go to the folder that you were given for the assignment",
        )
    return specs.assignment(file.read_bytes(), str(file))


def available() -> SandboxName:
    """The sandbox that this machine has."""
    try:
        sandbox.require("bwrap")
    except SandboxError:
        return "none"
    return "bwrap"


def graded_cells(nb: dict[str, Any]) -> tuple[GradedCell, ...]:
    """The graded cells as the notebook's own metadata tell, for a student who has nothing else."""
    found = []
    for cell in nb["cells"]:
        name = notebook.grade_id(cell)
        if name:
            marked = cell["metadata"]["nbgrader"]
            found.append(
                GradedCell(
                    id=name,
                    cell_type=cell["cell_type"],
                    source=cell["source"],
                    released_source=cell["source"],
                    points=float(marked["points"]) if isinstance(marked.get("points"), int | float) else None,
                    grade=bool(marked.get("grade")),
                    solution=bool(marked.get("solution")),
                    locked=bool(marked.get("locked")),
                    task=bool(marked.get("task")),
                )
            )
    return tuple(found)


def _task(folder: Path, spec: Assignment, nb: dict[str, Any], scratch: Path, box: SandboxName) -> Task:
    restored = scratch / "restored.ipynb"
    restored.write_text(json.dumps(nb))
    made = {each.path for each in (spec.artifact, spec.baseline) if each is not None and each.made_by == "notebook"}
    files = {
        path: str(folder / path)
        for path in plain_files(folder, _DATA_BYTES)
        if not path.endswith(".ipynb") and path not in made and Path(path).parts[0] != "checks"
    }
    return Task(
        assignment=spec,
        student=STUDENT,
        notebook=str(restored),
        submission=str(folder),
        files=files,
        checks=tuple(str(folder / path) for path in ("assignment.yaml", "checks") if (folder / path).exists()),
        hidden="",
        seed="",
        sandbox=box,
        out=str(scratch),
    )
