"""Saying what this machine can run, and what it lacks: tools, sandbox, course; each tried, not assumed."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from contextlib import suppress
from pathlib import Path

from coursekit import course, exposure, gradebook, notebook, planning
from coursekit.errors import CoursekitError
from coursekit.exposure import Exposed
from coursekit.records import Held, Record, SandboxName
from coursekit.sandbox.probe import probe

_PACKAGES = {
    "tensorflow": "the student's own cells; pip install 'coursekit[kernel]'",
    "nbgrader": "release, gradebook and feedback; pip install 'coursekit[grade]'",
    "ai_edge_litert": "a model's outputs and operators; it comes with coursekit",
    "tflite_micro": "arena_bytes; pip install 'coursekit[tflm]', on Linux and x86_64",
    "ethosu": "boards with an Ethos-U; pip install 'coursekit[vela]'",
}
_PROGRAMS = {"bwrap": "the sandbox; apt install bubblewrap", "git": "submissions from repositories; apt install git"}


class Found(Record, frozen=True, kw_only=True):
    """A thing looked for: whether it is here, and what it is for."""

    name: str
    here: bool
    detail: str


class Diagnosis(Record, frozen=True, kw_only=True):
    """What was found, what the sandbox holds, and what is wrong with the course."""

    python: str
    machine: str
    found: tuple[Found, ...]
    sandbox: SandboxName
    limits: tuple[Held, ...] = ()
    course: str = ""
    problems: tuple[str, ...] = ()
    exposed: tuple[Exposed, ...] = ()
    """Test cells that would be safer as checks outside: advice, no problem."""

    @property
    def well(self) -> bool:
        """Whether submissions can be graded here."""
        return not self.problems and all(limit.held for limit in self.limits)


def diagnose(start: Path, box: SandboxName) -> Diagnosis:
    """Look at packages and programs, try every promise of the sandbox in a real box, read the course."""
    problems: list[str] = []
    limits: tuple[Held, ...] = ()
    try:
        limits = probe(box)
    except CoursekitError as error:
        problems.append(f"{error} Fix: {error.fix}.")
    root = _course(start, problems)
    return Diagnosis(
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.release()} on {platform.machine()}",
        found=(*_packages(), *_programs()),
        sandbox=box,
        limits=limits,
        course=root,
        problems=tuple(problems),
        exposed=_exposed(Path(root)) if root else (),
    )


def _packages() -> list[Found]:
    return [
        Found(name=name, here=importlib.util.find_spec(name) is not None, detail=detail)
        for name, detail in _PACKAGES.items()
    ]


def _programs() -> list[Found]:
    return [Found(name=name, here=shutil.which(name) is not None, detail=what) for name, what in _PROGRAMS.items()]


def _course(start: Path, problems: list[str]) -> str:
    """The course that `start` lies in, each of its files read and its gradebook opened."""
    try:
        root = course.find(start)
    except CoursekitError:
        return ""
    try:
        _, settings = planning.facts(root)
        for name in () if settings.plain else course.names(root):
            course.assignment(root, name)
            course.cases(root, name)
        with gradebook.Gradebook(settings) as book:
            book.students()
    except CoursekitError as error:
        problems.append(f"{error} {f'Fix: {error.fix}' if error.fix else ''}".strip())
    return str(root)


def _exposed(root: Path) -> tuple[Exposed, ...]:
    """The test cells of every assignment's source that run inside the student's process."""
    found: list[Exposed] = []
    with suppress(CoursekitError):  # what cannot be read is among the problems
        _, settings = planning.facts(root)
        top = settings.source if settings.plain else root / "assignments"
        for folder in sorted(path for path in top.glob("*") if path.is_dir()):
            sources = [notebook.parse(path.read_bytes(), path.name) for path in sorted(folder.glob("*.ipynb"))]
            found += exposure.exposed(folder.name, sources)
    return tuple(found)
