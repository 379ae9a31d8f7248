"""What every submission of an assignment has in common, gathered once: the plan that `grading` follows.

A coursekit assignment is planned from `assignments/` and `autograder/`; a plain nbgrader one from nbgrader's own
folders, with no checks but those that stand in its notebooks.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import site
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from coursekit import __version__, course, examiner, gradebook, notebook, profiles, specs
from coursekit.errors import CourseError, UnreadableWork
from coursekit.grading import Plan
from coursekit.ingredients import Ingredients, sha256
from coursekit.plainfile import plain_files
from coursekit.records import Assignment, Course, GradedCell, Limits, SandboxName

_TOOLS = ("ai-edge-litert", "ethos-u-vela", "ipykernel", "nbgrader", "numpy", "pytest", "tensorflow", "tflite-micro")
_RELEASE_BYTES = 500_000_000
_OURS = ("assignment.yaml", "README.md")
_CHECKS = "checks"
_CASES = ("wrong", "demo")
"""Folders of made-up work beside the hidden checks, which grading never reads."""
_ID_LENGTH = 12


def plan(root: Path, settings: gradebook.Settings, name: str, sandbox: SandboxName) -> Plan:
    """The plan for one assignment. Raises CourseError if it was not released, SpecError if its files are wrong."""
    course.need_name(name)
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
        return with_ingredients(root, Plan(assignment=spec, **common))
    hidden = root / "autograder" / name
    folder = root / "assignments" / name
    made = Plan(
        assignment=spec,
        checks=checks(folder, hidden),
        hidden=str(hidden) if hidden.is_dir() else "",
        profiles=tuple(map(str, course.profile_folders(root))),
        seed=course.seed(root, name),
        grader_sha256=course.fingerprint([path for path in (folder, hidden) if path.is_dir()]),
        **common,
    )
    return with_ingredients(root, made)


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


# --- what a score depends on ------------------------------------------------------------------------------------------


def with_ingredients(root: Path, made: Plan) -> Plan:
    """The plan with what every score of the class depends on."""
    run = {**_of_machine(made), **_of_release(made)}
    found = Ingredients(run=run, checks=_of_checks(made), time=_of_time(root, made))
    return msgspec.structs.replace(made, ingredients=found)


def here(made: Plan) -> Plan:
    """A plan that another machine made, as this one follows it: it is this machine's programs that run."""
    made = msgspec.structs.replace(made, environment_sha256=environment_sha256())
    return msgspec.structs.replace(made, ingredients=made.ingredients | Ingredients(run=_of_machine(made)))


def _of_machine(made: Plan) -> dict[str, str]:
    """Our own code, what is installed beside it, and the box."""
    own = sha256(_tree(Path(__file__).parent, "coursekit"))  # a change of ours is seen before its version is
    versions = {"coursekit": f"{__version__} ({own[:_ID_LENGTH]})", "Python": platform.python_version(), **made.tools}
    return {**versions, "the environment": made.environment_sha256, "the sandbox": made.sandbox}


def _of_release(made: Plan) -> dict[str, str]:
    """What students were given, with the tests that were hidden in it, what a run may do and must make."""
    spec = made.assignment
    run = {f"release/{stem}.ipynb": sha256(nb) for stem, nb in made.notebooks.items()}
    run |= {f"release/{path}": _sha256(Path(here)) for path, here in made.files.items()}
    cells = [_without_points(cell) for each in made.cells.values() for cell in each]
    settled = {"limits": spec.limits, "artifacts": [spec.artifact, spec.baseline], "preload": spec.preload}
    return run | {"the released cells": sha256(cells)} | {name: sha256(each) for name, each in settled.items()}


def _without_points(cell: GradedCell) -> GradedCell:
    return msgspec.structs.replace(cell, points=None)


def _of_checks(made: Plan) -> dict[str, str]:
    """What the points depend on beside the run: targets, points, and the grader's files, boards and seed."""
    in_run = {"limits": Limits(), "artifact": None, "baseline": None, "preload": None}
    spec = msgspec.structs.replace(made.assignment, due=None, late=None, **in_run)
    found = {"targets and titles": sha256(spec), "points": sha256(made.cells), "the seed": course.seed_id(made.seed)}
    for path in map(Path, made.checks):
        if path.is_dir():
            found |= _tree(path, "hidden" if str(path) == made.hidden else path.name, _CASES)
    for path in map(Path, made.profiles):
        found |= _tree(path, "profiles")
    return found


def _of_time(root: Path, made: Plan) -> dict[str, str]:
    """When it is due and what lateness costs, by our policy or by nbgrader's configuration."""
    late, due, config = made.late, made.assignment.due, root / gradebook.CONFIG_FILE
    policy = f"{late.percent_per_day:g} % a day for {late.days} days" if late else "none"
    found = {"the due time": due.isoformat() if due else "none", "the late policy": policy}
    return found | ({config.name: _sha256(config)} if config.is_file() else {})


def _tree(top: Path, title: str, but: Sequence[str] = ()) -> dict[str, str]:
    """The files below a folder, without caches, seeds and other hidden files: title/path -> hash."""
    files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else []
    return {
        f"{title}/{path.relative_to(top)}": _sha256(path)
        for path in files
        if not any(part.startswith((".", "__pycache__")) for part in path.relative_to(top).parts)
        and path.relative_to(top).parts[0] not in but
    }


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


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
    for target in spec.targets:
        if target.profile:
            profiles.load(target.profile, course.profile_folders(root))
    asked = examiner.listed(checks(root / "assignments" / name, root / "autograder" / name))
    specs.check_points(spec, asked, cells, where)
    specs.check_needs(spec, cells, where)
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
