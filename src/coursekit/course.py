"""The course folder: where its files are, which assignments and submissions it has, and how results are kept in it.

This room reads what instructors wrote and what students handed in, as bytes, and writes scores so that a stop at any
moment leaves either the old file or the new one.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from coursekit import decoding, making, specs
from coursekit.errors import CourseError, SpecError, StorageError, StudentError
from coursekit.plainfile import plain_files, read_below
from coursekit.records import Assignment, Case, Course, Score, Submission

COURSE_FILE = "assignments/course.yaml"
_PLAIN_FILE = "nbgrader_config.py"
_SEED_FILE = ".seed"
_SEED_BYTES = 16
_ID_LENGTH = 12
_LONGEST_NAME = 255
_MOST_BYTES = 500_000_000


# --- finding ---------------------------------------------------------------------------------------------------------


def find(start: Path) -> Path:
    """The course folder that `start` lies in. Raises CourseError if there is none above it."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / COURSE_FILE).is_file() or (folder / _PLAIN_FILE).is_file():
            return folder
    raise CourseError(
        f"there is no course here: neither {COURSE_FILE} nor {_PLAIN_FILE}, in this folder or above it.",
        where=str(start),
        fix="go to the course folder, or name it with --course",
    )


def load(root: Path) -> Course:
    """What `course.yaml` says; the defaults for a plain nbgrader course, which has none."""
    file = root / COURSE_FILE
    return specs.course(file.read_bytes(), COURSE_FILE) if file.is_file() else Course()


def is_plain(root: Path) -> bool:
    """Whether nothing in the course is ours."""
    return not (root / COURSE_FILE).is_file()


def profile_folders(start: Path | None) -> tuple[Path, ...]:
    """The folder with the course's own profiles, if it has one.

    Without a named folder the course is looked for here, and there need be none. Raises CourseError if a named one is
    in no course.
    """
    try:
        own = find(start or Path()) / "autograder" / "profiles"
    except CourseError:
        if start is not None:
            raise
        return ()
    return (own,) if own.is_dir() else ()


def names(root: Path, source: str = "assignments") -> list[str]:
    """The names of the assignments, in order."""
    folder = root / source
    if not folder.is_dir():
        return []
    ours = not is_plain(root)
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(".") and (not ours or (entry / "assignment.yaml").is_file())
    )


def assignment(root: Path, name: str) -> Assignment:
    """The facts of one assignment. Raises CourseError if there is no such one, SpecError if its file is wrong."""
    need_name(name)
    file = root / "assignments" / name / "assignment.yaml"
    if not file.is_file() and is_plain(root):
        raise CourseError(
            "this is a plain nbgrader course: its assignments have no checks or targets of ours.",
            where=str(root),
            fix="grade and report work on it as it is; for the rest write an assignment with coursekit new NAME",
        )
    if not file.is_file():
        known = names(root)
        fix = decoding.near(name, known)
        raise CourseError(f"there is no assignment called '{name}'.", where=str(root / "assignments"), fix=fix)
    return specs.assignment(file.read_bytes(), f"assignments/{name}/assignment.yaml", name)


def need_name(name: str) -> None:
    """Refuse what no folder of this course could be called, before a file is looked for by it."""
    plain = name.isprintable() and PurePosixPath(name).name == name and len(os.fsencode(name)) <= _LONGEST_NAME
    if not plain:
        fix = "an assignment is called like its folder."
        raise CourseError(f"there is no assignment called '{name[:_LONGEST_NAME]}'.", fix=fix)


def cases(root: Path, name: str, kind: str = "wrong") -> dict[str, Case]:
    """The known wrong answers of an assignment, by name."""
    folder = root / "autograder" / name / kind
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    return {file.stem: specs.case(file.read_bytes(), f"autograder/{name}/{kind}/{file.name}") for file in files}


# --- submissions -----------------------------------------------------------------------------------------------------


def submissions(submitted: Path, name: str, only: Sequence[str] = ()) -> list[Submission]:
    """What was handed in for an assignment, by student. Raises CourseError if a student named in `only` is missing."""
    need_name(name)
    folders = (
        folder
        for folder in (sorted(submitted.iterdir()) if submitted.is_dir() else ())
        if not folder.name.startswith(".") and not folder.is_symlink() and (folder / name).is_dir()
    )
    found = {
        student: Submission(student=student, assignment=name, folder=str(folder / name))
        for student, folder in ((_id(folder), folder) for folder in folders)
    }
    for student in only:
        if student not in found:
            near = decoding.near(student, sorted(found))
            raise CourseError(f"there is no submission of '{student}' for '{name}'.", where=str(submitted), fix=near)
    if not found:
        there = {entry.name for entry in submitted.glob("*/*/")} if submitted.is_dir() else set()
        meant = difflib.get_close_matches(name, sorted(there), n=1)
        put = f"put each submission into {submitted.name}/STUDENT/{name}/"
        fix = f"did you mean '{meant[0]}'?" if meant else put
        raise CourseError(f"nobody has handed in '{name}'.", where=str(submitted), fix=fix)
    return [found[student] for student in sorted(only or found)]


def _id(folder: Path) -> str:
    """A student's id: the folder's name, in which a byte that is no UTF-8 is written out, since no file can hold it."""
    return os.fsencode(folder).rpartition(b"/")[2].decode("utf-8", "backslashreplace")


def handed_in(submission: Submission) -> dict[str, str]:
    """The ordinary files of a submission: relative path -> path here."""
    folder = Path(submission.folder)
    return {path: str(folder / path) for path in plain_files(folder, _MOST_BYTES)}


def hashes(submission: Submission, named: Sequence[str] = ()) -> dict[str, str]:
    """What was handed in, as relative path -> sha256; of what cannot be read, why.

    A file that is `named` is asked for even where it is not among the ordinary ones, and may be missing.
    """
    folder = Path(submission.folder)
    found = {}
    for path in dict.fromkeys((*handed_in(submission), *named)):
        try:
            found[path] = hashlib.sha256(read_below(folder, path, _MOST_BYTES)).hexdigest()
        except StudentError as error:
            found[path] = error.what
    return found


# --- secrets and hashes ----------------------------------------------------------------------------------------------


def seed(root: Path, name: str) -> str:
    """The secret seed of an assignment's hidden data, made when it is first asked for."""
    file = root / "autograder" / name / _SEED_FILE
    if not file.parent.is_dir():
        return ""
    if not file.exists():
        _make_once(file, f"{secrets.token_hex(_SEED_BYTES)}\n".encode())
    text = file.read_bytes().decode("utf-8", "replace").strip()
    if not text or not text.isprintable() or "\ufffd" in text:
        raise CourseError(
            "the seed file holds no seed.", where=str(file), fix="delete it, or write the term's seed into it"
        )
    return text


def plant_seed(root: Path, name: str, value: str) -> None:
    """Write an assignment's seed, in a course that has none yet."""
    write(root / "autograder" / name / _SEED_FILE, f"{value}\n".encode())


def seed_id(value: str) -> str:
    """A name for a seed that does not give it away."""
    return hashlib.sha256(f"coursekit seed {value}".encode()).hexdigest()[:_ID_LENGTH] if value else "none"


def fingerprint(paths: Iterable[Path]) -> str:
    """One sha256 over the names and contents of files and folders, without caches, seeds and other hidden files."""
    total = hashlib.sha256()
    for top in paths:
        files = [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())
        for file in files:
            relative = file.relative_to(top.parent)
            if not any(part.startswith(".") or part == "__pycache__" for part in relative.parts):
                total.update(f"{relative}\0{file.stat().st_size}\0".encode())
                total.update(file.read_bytes())
    return total.hexdigest()


# --- results ---------------------------------------------------------------------------------------------------------


def score_file(root: Path, student: str, name: str) -> Path:
    """Where a score is kept."""
    return root / "scores" / student / name / "score.json"


def write_score(root: Path, made: Score) -> Path:
    """Keep a score, whole or not at all."""
    file = score_file(root, made.student, made.assignment)
    write(file, msgspec.json.format(msgspec.json.encode(made)) + b"\n")
    return file


def score(root: Path, student: str, name: str) -> Score | None:
    """One submission's score; None if there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(score_file(root, student, name).read_bytes(), type=Score)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def scores(root: Path, name: str) -> list[Score]:
    """Every score kept for an assignment, by student. Raises SpecError for a file that is not one."""
    need_name(name)
    folder = root / "scores"
    students = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    return [_score(root, student, name) for student in students if score_file(root, student, name).is_file()]


def _score(root: Path, student: str, name: str) -> Score:
    file = score_file(root, student, name)
    where = str(file.relative_to(root))
    found = decoding.decode_json(file.read_bytes(), Score, where)
    if (found.student, found.assignment) != (student, name):
        raise SpecError("it is the score of another submission.", where=where, fix=f"run coursekit grade {name}")
    return found


def write(file: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old content or the new, never a part, even after a loss of power.

    Raises StorageError if it cannot be written, as on a full disk; the old content stays.
    """
    try:
        _make_folder(file.parent)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(data)
                opened.flush()
                os.fchmod(opened.fileno(), mode)
                os.fsync(opened.fileno())
            Path(temporary).replace(file)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync(file.parent)
    except OSError as error:
        raise unwritable(error, file) from error


def unwritable(error: OSError, file: Path) -> StorageError:
    """Say why a file of the course cannot be written, and whose move it is."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = "the disk is full" if full else (error.strerror or str(error))
    fix = "free some space" if full else "see that the course folder may be written"
    return StorageError(f"it cannot be written: {what}.", where=str(file), fix=f"{fix}, and run this again")


def _make_once(file: Path, data: bytes) -> None:
    """Write a file that only its owner may read, unless somebody else was first; nobody ever sees it empty."""
    with making.beside(file.parent) as scratch:
        made = scratch / file.name
        write(made, data, mode=0o600)
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(made)
    _sync(file.parent)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each sure to be found in the one that holds it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
