"""What wrong answers that attack the tests earn: under `nbgrader autograde`, and with coursekit, side by side.

Every answer is wrong, so what it should earn is nothing. It is handed in alone to a fresh copy of one course, since one
of them deletes the gradebook. nbgrader runs it with nothing around it, as it does, so run this where that is no harm:

    python benchmarks/forgeries.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import forgeries  # noqa: E402 - it lies beside the tests, which grade the same answers
from coursekit import batch, gradebook  # noqa: E402 - likewise

BIN = Path(sys.executable).parent
STUDENT = "mallory"
POSSIBLE = forgeries.POINTS * len(forgeries.TESTS)


@dataclass
class Result:
    """What one answer earned for the tests that it attacks, and what else it did."""

    earned: float | None
    note: str = ""

    def __str__(self) -> str:
        points = "no grade" if self.earned is None else f"{self.earned:g} of {POSSIBLE:g}"
        return f"{points}{f' ({self.note})' if self.note else ''}"


def nbgrader(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of nbgrader's commands in this course."""
    env = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}  # nbgrader looks for a program called alembic
    command = [sys.executable, "-m", "nbgrader", *words]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=300)


def theirs(root: Path) -> Result:
    """Grade with nbgrader."""
    done = nbgrader(root, "autograde", forgeries.NAME)
    told = []
    if any("assert squares(11)" in path.read_text(errors="replace") for path in root.rglob("hidden.txt")):
        told.append("the hidden test is in a file")
    if not (root / "gradebook.db").exists() or not in_gradebook(root):
        return Result(None, "the class's gradebook is gone")
    if done.returncode:
        told.append("autograde failed")
    earned = in_gradebook(root).get(STUDENT)
    return Result(earned, ", ".join(told))


def in_gradebook(root: Path) -> dict[str, float]:
    """Student -> what the attacked tests earned, as the gradebook has it; nothing if it knows no such assignment."""
    from nbgrader.api import Gradebook, MissingEntry  # noqa: PLC0415 - in a process that imports it anyway

    try:
        with Gradebook(f"sqlite:///{root}/gradebook.db") as book:
            found = book.find_assignment(forgeries.NAME).submissions
            return {
                each.student.id: sum(
                    grade.score for notebook in each.notebooks for grade in notebook.grades if grade.name != "mean_test"
                )
                for each in found
            }
    except MissingEntry:
        return {}


def ours(root: Path) -> Result:
    """Grade with coursekit."""
    (score,) = batch.grade_class(root, forgeries.NAME, progress=batch.unheard)
    earned = sum(float(check.earned) for check in score.checks if check.id in forgeries.TESTS)
    waits = len([cell for cell in score.waiting if cell.reason])
    return Result(earned, f"{waits} wait for a person" if waits else "")


def course(scratch: Path) -> Path:
    """The released course; one student's honest work is in its gradebook."""
    root = forgeries.make(scratch / "course")
    gradebook.cells(gradebook.settings(root), forgeries.NAME)
    return root


def row(template: Path, scratch: Path, title: str, answer: str) -> tuple[Result, Result]:
    """Both grades of one answer."""
    found = []
    for number, grade in enumerate((theirs, ours)):
        root = Path(shutil.copytree(template, scratch / f"{number}"))
        forgeries.submit(root, STUDENT, answer)
        found.append(grade(root))
        shutil.rmtree(root)
    print(f"{title:<46} {found[0]!s:<44} {found[1]}", flush=True)
    return found[0], found[1]


def main() -> None:
    """Print the table."""
    wanted = sys.argv[1:]
    print(f"{'Wrong answer':<46} {'nbgrader autograde':<44} coursekit grade")
    answers = {"none: only wrong": forgeries.WRONG, **forgeries.FORGERIES, **forgeries.REMAIN}
    with tempfile.TemporaryDirectory(prefix="coursekit-forgeries-") as made:
        template = course(Path(made))
        chosen = {title: text for title, text in answers.items() if not wanted or any(each in title for each in wanted)}
        found = [row(template, Path(made), title, answer) for title, answer in chosen.items()]
    for name, side in (("nbgrader", 0), ("coursekit", 1)):
        points = [each[side].earned for each in found]
        full = sum(each == POSSIBLE for each in points)
        some = sum(each is not None and 0 < each < POSSIBLE for each in points)
        print(f"{name}: {full} of {len(found)} earned full marks, {some} a part of them")


if __name__ == "__main__":
    main()
