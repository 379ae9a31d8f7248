"""Where results are kept between gradings: what each score was made from, the score before it, and the run itself.

`.kept/NAME/STUDENT/` holds `kept.json`, `before.json` and one `STEM.run` per notebook. A run holds what functions
answered to hidden inputs, so only the grader may enter the folder. `kept.json` is written last of everything that
belongs to a result: where it fits `score.json`, all of that result was recorded.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from coursekit import course
from coursekit.errors import CourseError
from coursekit.ingredients import Ingredients
from coursekit.records import Record, Run, Score

FOLDER = ".kept"
SCHEMA = "coursekit/kept/v1"
FRESH_RUN = "fresh.run"
"""Where an examination leaves a run that may be kept."""
_LOCK = "lock"
_SCRATCH = "coursekit-grading-"
_PRIVATE_FOLDER, _PRIVATE = 0o700, 0o600
_DIGEST = 32
_UNFINISHED_FOLDERS = (".making-", ".old-")
_UNFINISHED_FILE = re.compile(r"\..+\.(json|log|run)\.\w{8}")
_MOST_BYTES = 200_000_000


class Kept(Record, frozen=True, kw_only=True):
    """`kept.json`: what one result was made from, and how to see whether all of it is still there."""

    schema: str = SCHEMA
    ingredients: Ingredients
    score_sha256: str
    """Of the file `score.json`."""
    gradebook: str
    """What the gradebook held for this submission once the score was recorded."""
    stems: tuple[str, ...]
    """The notebooks that were executed."""
    notes: tuple[str, ...]
    """The score's notes without the one on the time of submission."""
    graded_at: datetime


class Before(Record, frozen=True, kw_only=True):
    """`before.json`: the result before the last one that differed."""

    ingredients: Ingredients
    score: Score


class KeptRun(Record, frozen=True, kw_only=True):
    """What one notebook's run gave. What a box said in it is as hostile as on the first day."""

    key: str
    """The hash of what the run depends on."""
    whole: bool
    """Whether it ended by itself; one that a limit ended, which a busy machine may do, never stands for another."""
    run: Run
    executed: bytes
    """The executed notebook, as JSON."""
    artifacts: dict[str, bytes]
    """Path -> content, of those that the notebook made."""
    answers: dict[str, bytes]
    """Place in a check's conversation -> what the function answered there, as JSON."""


AnyRecord = TypeVar("AnyRecord", bound=Record)


def folder(root: Path, name: str, student: str) -> Path:
    """Where the results of one submission are kept."""
    return root / FOLDER / name / student


# --- one grader at a time --------------------------------------------------------------------------------------------


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Be the only grader of this course. Raises CourseError if another one is at work.

    The lock is the kernel's: it ends with the process, however that ends.
    """
    (root / FOLDER).mkdir(exist_ok=True)
    (root / FOLDER).chmod(_PRIVATE_FOLDER)
    file = root / FOLDER / _LOCK
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE), "r+", encoding="ascii") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = held.read().strip()
            raise CourseError(
                f"another grader is at work on this course{f' (process {other})' if other else ''}.",
                where=str(root),
                fix="wait until it is done, and run this again: what it finished will not be graded twice",
            ) from None
        with suppress(OSError):  # on a full disk the number of the process is missing, and the lock holds
            held.truncate(0)
            held.write(str(os.getpid()))
            held.flush()
        yield


def sweep(folders: Iterable[Path]) -> None:
    """Remove what a killed grader left unfinished in these folders, of which this process is the only writer."""
    for place in folders:
        for path in place.glob(".*"):
            if path.name.startswith(_UNFINISHED_FOLDERS):
                shutil.rmtree(path, ignore_errors=True)
            elif _UNFINISHED_FILE.fullmatch(path.name):
                path.unlink(missing_ok=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what one submission's grading needs meanwhile; locked, so that an abandoned one is known as such."""
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, ignore_cleanup_errors=True) as made:
        held = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield Path(made)
        finally:
            os.close(held)


def sweep_scratch(older: float = 60.0) -> None:
    """Remove the scratch folders, at least so many seconds old, of graders that are no more: they hold hidden seeds.

    One that was made this moment may not be locked yet.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        with suppress(OSError):
            # One from the future is as old as it seems young: the clock was set back since.
            if path.lstat().st_uid != os.getuid() or abs(time.time() - path.lstat().st_mtime) < older:
                continue
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(held)


# --- results ---------------------------------------------------------------------------------------------------------


def load(place: Path) -> Kept | None:
    """What was kept of a submission; None if nothing was, or it cannot be read."""
    return _read(place / "kept.json", Kept)


def load_before(place: Path) -> Before | None:
    """The result before; None if there is none, or it cannot be read."""
    return _read(place / "before.json", Before)


def save(place: Path, what: Kept | Before) -> None:
    """Keep what a result was made from, or the result before."""
    _make(place)
    file = place / ("kept.json" if isinstance(what, Kept) else "before.json")
    course.write(file, msgspec.json.format(msgspec.json.encode(what)) + b"\n", mode=_PRIVATE)


def _read(file: Path, kind: type[AnyRecord]) -> AnyRecord | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _make(place: Path) -> None:
    place.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)


# --- runs ------------------------------------------------------------------------------------------------------------


def run_file(place: Path, stem: str) -> Path:
    """Where the run of one notebook is kept."""
    return place / f"{stem}.run"


def pack(run: KeptRun) -> bytes:
    """A run as it is kept, behind its hash; nothing if it is larger than what is kept."""
    data = msgspec.msgpack.encode(run)
    return b"" if len(data) > _MOST_BYTES else hashlib.sha256(data).digest() + data


def put_run(place: Path, stem: str, data: bytes) -> None:
    """Keep a packed run."""
    _make(place)
    course.write(run_file(place, stem), data, mode=_PRIVATE)


def read_run(file: Path) -> KeptRun | None:
    """A run that was kept; None if there is none, or not every byte of it is as it was."""
    try:
        data = file.read_bytes()
        if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
            return None
        return msgspec.msgpack.decode(data[_DIGEST:], type=KeptRun)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
