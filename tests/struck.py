"""A class that a fault strikes: how it is graded meanwhile, what must not have changed, and how it ends.

ada was graded before and a person marked her prose; whoever else is there has just handed in. A fault may cost time and
a sentence, never a point: not theirs, not hers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from nbgrader.api import Gradebook as TheirGradebook

import courses
from coursekit import batch, course, keeping
from coursekit.records import Score

NAME = "doubling"
MARK = 4.0
SLEEP = "sleep 1.25"
SLEEPS = f"import subprocess\nsubprocess.run({SLEEP!r}.split())\ndef double(x):\n    return 2 * x"
"""An answer that is right, and takes a while."""
COMMAND = str(Path(sys.executable).with_name("coursekit"))
BWRAP = os.path.realpath(shutil.which("bwrap") or "/usr/bin/bwrap")
_AFTERMATH = Path(__file__).with_name("aftermath.py")
_PATIENCE = 120


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


FAULTS = '''\
"""A check that does to a submission what its notebook names, as long as faults are on."""

import os
import shutil
import signal
from pathlib import Path

import pytest

FLAGS = Path({flags!r})


def waits():
    (FLAGS / "asked").write_text(str(os.getpid()))
    signal.pause()


def prints():
    while True:
        print("x" * 2**20)


def quits():
    pytest.exit("that is all")


def interrupts():
    raise KeyboardInterrupt


ACTS = {{
    "abort": os.abort,
    "exit": lambda: os._exit(0),
    "interrupt": interrupts,
    "print": prints,
    "quit": quits,
    "remove": lambda: shutil.rmtree(os.getcwd()),
    "wait": waits,
}}


@pytest.fixture
def fault(submission):
    name = submission.code.partition("# fault: ")[2].partition("\\n")[0]
    if not (FLAGS / "on").exists():
        return ""
    if name == "fixture":
        raise ValueError("a fixture of ours")
    return name


@pytest.mark.points(1, id="fault")
def test_fault(fault):
    """Nothing breaks."""
    ACTS.get(fault, int)()
'''


def faults(flags: Path) -> str:
    """The check file; faults are on while there is a file `on` in that folder."""
    return FAULTS.format(flags=str(flags))


def graded(root: Path, **options: Any) -> Path:
    """A course whose ada is graded and marked."""
    courses.released(courses.make(root, **options), NAME)
    courses.submit(root, "ada")
    courses.grade(root)
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        grade = book.find_grade("why", NAME, NAME, "ada")
        grade.manual_score, grade.needs_manual_grade = MARK, False
        book.db.commit()
    return root


def within(*words: str) -> list[str]:
    """What stands before a command that sees another file system than everybody else, with these words of bwrap's."""
    return [BWRAP, "--dev-bind", "/", "/", *words]


# --- What a fault must not touch --------------------------------------------------------------------------------------


def held(root: Path, student: str) -> dict[str, Any]:
    """All that is kept of a student, to the byte."""
    folders = [root / "scores" / student, root / "autograded" / student, root / ".kept" / NAME / student]
    files = {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        rows = {
            grade.name: (grade.auto_score, grade.manual_score, grade.needs_manual_grade)
            for each in book.assignment_submissions(NAME)
            if each.student.id == student
            for notebook in each.notebooks
            for grade in notebook.grades
        }
    return {"files": files, "rows": rows}


def score(root: Path, student: str, name: str = NAME) -> Score | None:
    """What was written down for a student."""
    return course.score(root, student, name)


# --- Running a command, and what it leaves ----------------------------------------------------------------------------


@contextmanager
def running(folder: Path, *words: str, before: Sequence[str] = (), **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The command, begun, with a folder of its own for temporary files; `command` is another one than coursekit."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    command = options.pop("command", [COMMAND])
    argv = [sys.executable, str(_AFTERMATH), str(folder / "aftermath.json"), *before, *command, *words]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    environment = options.pop("env", {})
    with subprocess.Popen(argv, env=os.environ | {"TMPDIR": str(temporary)} | environment, **options) as process:
        try:
            yield process
        finally:
            for each in [] if process.poll() is not None else [*below(process), psutil.Process(process.pid)]:
                each.kill()  # only where the test itself has failed


def ended(process: subprocess.Popen[str], folder: Path) -> Ended:
    """Wait for its end. Nothing may be left of it."""
    out, err = process.communicate(timeout=_PATIENCE)
    after = json.loads((folder / "aftermath.json").read_text())
    code = after.pop("code")
    left = {what: found for what, found in after.items() if found}
    assert left == {}, f"left behind: {left}\n{err}"
    assert "Traceback" not in (err or ""), err
    return Ended(code, out or "", err or "")


def ran(folder: Path, *words: str, before: Sequence[str] = (), **options: Any) -> Ended:
    """The command, to its end."""
    with running(folder, *words, before=before, **options) as process:
        return ended(process, folder)


def below(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """What the command has started, and the command itself, first: it is the oldest, whatever the numbers are.

    What was left by its parent meanwhile stands beside it, and its number is smaller where they begin anew.
    """
    return sorted(psutil.Process(process.pid).children(recursive=True), key=psutil.Process.create_time)


def named(process: subprocess.Popen[str], word: str, least: int = 1) -> list[psutil.Process]:
    """Wait until so many of its processes have this word in their command lines."""
    while True:
        assert process.poll() is None, process.communicate()
        found = []
        for each in below(process):
            try:
                found += [each] if word in " ".join(each.cmdline()) else []
            except psutil.NoSuchProcess:
                continue
        if len(found) >= least:
            return found


def box(process: subprocess.Popen[str]) -> psutil.Process:
    """Wait until a notebook sleeps, in its cell and in its box; the box, as it is seen from outside."""
    named(process, SLEEP)
    outer = [each for each in below(process) if each.name() == "bwrap"]
    numbers = {each.pid for each in outer}
    (found,) = (each for each in outer if each.ppid() not in numbers)
    return found


def exists(process: subprocess.Popen[str], path: Path) -> Path:
    """Wait until a file is there."""
    while not path.exists():
        assert process.poll() is None, process.communicate()
    return path


# --- The next day -----------------------------------------------------------------------------------------------------


def finishes(root: Path, expected: dict[str, float], kept: Sequence[str] = ("ada",)) -> dict[str, str]:
    """One plain grading gives everyone what they earned, and touches nobody whose score stood; what it did."""
    before = {student: held(root, student) for student in kept}
    done: list[keeping.Decision] = []
    begun: list[str] = []

    def progress(student: str, scored: Score | None) -> None:
        begun.extend([] if scored else [student])

    scores = courses.grade(root, explain=done.extend, progress=progress)
    assert {student: each.earned for student, each in scores.items()} == expected
    assert len(begun) == len(set(begun))
    assert {student: held(root, student) for student in kept} == before
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        totals = {each.student.id: each.score for each in book.assignment_submissions(NAME)}
        assert book.find_grade("why", NAME, NAME, "ada").manual_score == MARK
    assert totals == expected | {"ada": expected["ada"] + MARK}
    assert {each.action for each in batch.foresee(root, NAME)} == {"keep"}
    names = [path.name for path in root.rglob(".*") if path.name not in (".kept", ".seed", ".gitignore")]
    assert names == []
    return {each.student: each.action for each in done}
