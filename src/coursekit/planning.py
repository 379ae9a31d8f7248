"""What every submission of an assignment has in common, gathered once: the plan that `grading` follows.

A coursekit assignment is planned from `assignments/` and `autograder/`; a plain nbgrader one from nbgrader's own
folders, with no checks but those that stand in its notebooks.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import site
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coursekit import course, examiner, gradebook, notebook, profiles, specs
from coursekit.errors import CourseError, UnreadableWork
from coursekit.grading import Plan
from coursekit.plainfile import plain_files
from coursekit.records import Assignment, Course, GradedCell, SandboxName

_TOOLS = ("ai-edge-litert", "ethos-u-vela", "ipykernel", "nbgrader", "numpy", "pytest", "tensorflow", "tflite-micro")
_RELEASE_BYTES = 500_000_000
_OURS = ("assignment.yaml", "README.md")
_CHECKS = "checks"


def plan(root: Path, settings: gradebook.Settings, name: str, sandbox: SandboxName) -> Plan:
    """The plan for one assignment. Raises CourseError if it was not released, SpecError if its files are wrong."""
    facts = course.load(root)
    ours = (root / "assignments" / name / "assignment.yaml").is_file() or not settings.plain
    spec = course.assignment(root, name) if ours else Assignment(name=name, title=name, notebook="")
    cells = gradebook.cells(settings, name)
    refuse_changed_targets(spec, cells)
    release = settings.release / name
    notebooks = {stem: _released(release / f"{stem}.ipynb", name) for stem in cells}
    common: dict[str, Any] = {
        "cells": cells,
        "notebooks": notebooks,
        "files": _data(release),
        "sandbox": sandbox,
        "environment_sha256": environment_sha256(),
        "tools": tools(),
        "extensions": facts.extensions.get(name, {}),
        "late": spec.late or facts.late,
    }
    if not ours:
        return Plan(assignment=spec, **common)
    hidden = root / "autograder" / name
    folder = root / "assignments" / name
    own_profiles = root / "autograder" / "profiles"
    return Plan(
        assignment=spec,
        checks=checks(folder, hidden),
        hidden=str(hidden) if hidden.is_dir() else "",
        profiles=(str(own_profiles),) if own_profiles.is_dir() else (),
        seed=course.seed(root, name),
        grader_sha256=course.fingerprint([path for path in (folder, hidden) if path.is_dir()]),
        **common,
    )


def _released(file: Path, name: str) -> dict[str, Any]:
    """A notebook as students got it."""
    if not file.is_file():
        raise CourseError(
            f"'{name}' has not been released: there is no {file.name}.",
            where=str(file.parent),
            fix=f"run coursekit release {name}",
        )
    try:
        return notebook.parse(file.read_bytes(), file.name)  # older formats too, which have no cell ids
    except UnreadableWork as error:
        fix = f"run coursekit release {name}"
        raise CourseError(f"the release cannot be read: {error.what}", where=str(file), fix=fix) from error


def _data(release: Path) -> dict[str, str]:
    """The files of a release that the notebook may read: all but notebooks, facts and checks."""
    if not release.is_dir():
        return {}
    return {
        path: str(release / path)
        for path in plain_files(release, _RELEASE_BYTES)
        if not path.endswith(".ipynb") and path not in _OURS and Path(path).parts[0] != _CHECKS
    }


def is_timed(plan: Plan) -> bool:
    """Whether a wall-clock may count: a target names a board that is there, or one whose models are timed here."""
    folders = tuple(map(Path, plan.profiles))
    names = {target.profile for target in plan.assignment.targets if target.profile}
    boards = [profiles.load(name, folders) for name in sorted(names)]
    return any(board.device or "host" in board.engines.values() for board in boards)


def checks(folder: Path, hidden: Path | None) -> tuple[str, ...]:
    """What pytest is to collect: the targets, the public checks, the hidden ones."""
    found = [folder / "assignment.yaml", folder / _CHECKS, hidden]
    return tuple(str(path) for path in found if path is not None and path.exists())


def review(root: Path, name: str, cells: tuple[GradedCell, ...]) -> Assignment:
    """The assignment, after its checks, targets, profiles and cells have been compared with each other.

    Raises SpecError for whatever does not fit, GraderError if a check file cannot be read.
    """
    spec = course.assignment(root, name)
    where = f"assignments/{name}/assignment.yaml"
    folders = [path for path in (root / "autograder" / "profiles",) if path.is_dir()]
    for target in spec.targets:
        if target.profile:
            profiles.load(target.profile, folders)
    asked = examiner.listed(checks(root / "assignments" / name, root / "autograder" / name))
    specs.check_points(spec, asked, cells, where)
    return spec


def refuse_changed_targets(spec: Assignment, cells: Mapping[str, tuple[GradedCell, ...]]) -> None:
    """Raise SpecError if a target is not worth what its released cell is; the checks are compared as they are asked."""
    targets = {target.id for target in spec.targets}
    theirs = [cell for each in cells.values() for cell in each if cell.id in targets]
    specs.check_points(spec, [], theirs, f"assignments/{spec.name}/assignment.yaml")


def facts(root: Path) -> tuple[Course, gradebook.Settings]:
    """The course and where nbgrader keeps its half of it."""
    own = course.load(root)
    return own, gradebook.settings(root, gradebook=own.gradebook)


def tools() -> dict[str, str]:
    """The versions that a figure or a run may depend on."""
    found = {}
    for name in _TOOLS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def environment_sha256() -> str:
    """One hash over the names and versions of everything installed beside coursekit.

    It looks where packages are installed, not at `sys.path`, to which some add copies of others when they are imported.
    """
    places = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    lines = sorted({f"{each.name}=={each.version}" for each in importlib.metadata.distributions(path=places)})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
