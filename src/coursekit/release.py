"""Cutting the student copy of an assignment: nbgrader's converter makes it, and nothing hidden can get into it.

Only `assignments/NAME` is read for it. Before it is kept it is compared with every hidden file, so that one copied
there by mistake stops the release.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from coursekit import course, gradebook, planning, scoring
from coursekit.errors import AuthorError
from coursekit.records import Assignment, Release

_SMALLEST_SECRET = 16
_README = "README.md"


def release(root: Path, name: str) -> Release:
    """Make `release/NAME` and the gradebook's entries; making it again changes nothing.

    Raises SpecError if checks, targets and cells do not fit each other, AuthorError if nbgrader refuses the notebook.
    """
    _, settings = planning.facts(root)
    if settings.plain:
        return _described(name, gradebook.release(settings, name))
    spec = course.assignment(root, name)
    refuse_secrets(root, name, root / "assignments" / name)
    folder = gradebook.release(settings, name, due=spec.due)
    cells = gradebook.cells(settings, name)
    planning.review(root, name, tuple(cell for each in cells.values() for cell in each))
    refuse_secrets(root, name, folder)
    if not (folder / _README).is_file():
        course.write(folder / _README, readme(spec).encode())
    return _described(name, folder)


def readme(spec: Assignment) -> str:
    """The page that a student reads first, for an assignment whose author wrote none."""
    due = f"\nDue {spec.due:%A, %d %B %Y, %H:%M} ({spec.due:%Z}).\n" if spec.due else ""
    lines = [f"# {spec.title}", due, f"Answer in `{spec.notebook}`. To see what the grader would say so far:", ""]
    lines += ["    pip install 'coursekit[kernel,tflm]'", "    coursekit check", ""]
    if spec.artifact:
        lines += [f"Your notebook must write `{spec.artifact.path}`, of at most {spec.artifact.max_bytes:,} bytes.", ""]
    if spec.targets:
        lines += ["| Target | Points |", "| --- | ---: |"]
        lines += [f"| {scoring.sentence(target)} | {target.points:g} |" for target in spec.targets]
        lines += ["", "Each target gives 60 % of its points at its pass mark, and all at its full mark."]
    return "\n".join(lines).rstrip() + "\n"


def refuse_secrets(root: Path, name: str, folder: Path) -> None:
    """Raise AuthorError if a file in the folder is, or contains, a file of `autograder/NAME`."""
    hidden = root / "autograder" / name
    secrets = {
        file.read_bytes().strip(): file.relative_to(root)
        for file in (hidden.rglob("*") if hidden.is_dir() else ())
        if file.is_file() and "__pycache__" not in file.parts
    }
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = file.read_bytes()
        for secret, origin in secrets.items():
            if len(secret) >= _SMALLEST_SECRET and secret in data:
                raise AuthorError(
                    f"it contains {origin}, which students must not see.",
                    where=str(file),
                    fix="delete it and release again",
                )


def _described(name: str, folder: Path) -> Release:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hashes = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return Release(assignment=name, folder=str(folder), files=hashes)
