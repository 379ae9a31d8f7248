"""What a grader on another machine needs, as bytes, and what it sends back: no folder has to be shared.

Two parcels go out: the plan with the files it names, once, and a submission with its kept runs, if it has any that may
stand for new ones. One comes back: what was graded, with the runs as they may be kept here. Records are JSON,
as in score.json; notebooks are JSON of their own, since a student's may hold what no record can.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from coursekit import __version__, course, shelf
from coursekit.errors import StudentError
from coursekit.grading import Graded, Plan
from coursekit.plainfile import read_below, strange_entries
from coursekit.records import Record, Score, Submission
from coursekit.tasks import Zygotes

_MOST_BYTES = 500_000_000
_RELEASE = "release"
_COURSE = "course"
_KEPT = "kept"


# --- the plan ---------------------------------------------------------------------------------------------------------


class _PlanParcel(Record, frozen=True, kw_only=True):
    coursekit: str
    """The version that packed it."""
    plan: bytes
    """JSON of the plan, its paths relative to where this is unpacked."""
    notebooks: dict[str, bytes]
    files: dict[str, bytes]


def pack_plan(plan: Plan) -> bytes:
    """The plan with the release's data, the checks, public and hidden, the course's own profiles, and the seed."""
    tops = sorted({Path(path) for path in (*plan.checks, *plan.profiles, plan.hidden) if path})
    common = Path(os.path.commonpath([top.parent for top in tops])) if tops else Path()

    def inside(path: str) -> str:
        return f"{_COURSE}/{Path(path).relative_to(common)}" if path else ""

    packed = {inside(str(path)): path.read_bytes() for path in _visible(tops)}
    packed |= {f"{_RELEASE}/{path}": Path(here).read_bytes() for path, here in plan.files.items()}
    portable = msgspec.structs.replace(
        plan,
        notebooks={},
        files={path: f"{_RELEASE}/{path}" for path in plan.files},
        checks=tuple(map(inside, plan.checks)),
        hidden=inside(plan.hidden),
        profiles=tuple(map(inside, plan.profiles)),
        zygotes=Zygotes(),
        kept=_KEPT if plan.kept else "",
    )
    notebooks = {stem: _from_notebook(nb) for stem, nb in plan.notebooks.items()}
    own = msgspec.json.encode(portable)
    return msgspec.msgpack.encode(_PlanParcel(coursekit=__version__, plan=own, notebooks=notebooks, files=packed))


def facts(data: bytes) -> Plan:
    """The plan without notebooks and files."""
    return msgspec.json.decode(msgspec.msgpack.decode(data, type=_PlanParcel).plan, type=Plan)


def unpack_plan(data: bytes, folder: Path) -> tuple[str, Plan]:
    """The version that packed the plan, and the plan, with its files below an empty folder of this machine."""
    parcel = msgspec.msgpack.decode(data, type=_PlanParcel)
    plan = msgspec.json.decode(parcel.plan, type=Plan)
    for path, content in parcel.files.items():
        _write(folder, path, content)

    def here(path: str) -> str:
        return str(folder / path) if path else ""

    return parcel.coursekit, msgspec.structs.replace(
        plan,
        notebooks={stem: json.loads(nb) for stem, nb in parcel.notebooks.items()},
        files={path: here(inside) for path, inside in plan.files.items()},
        checks=tuple(map(here, plan.checks)),
        hidden=here(plan.hidden),
        profiles=tuple(map(here, plan.profiles)),
    )


def _visible(tops: Iterable[Path]) -> Iterable[Path]:
    """The files at and below these, without the seed's and other hidden ones, each once."""
    found = {
        path
        for top in tops
        for path in ([top] if top.is_file() else top.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(top.parent).parts)
    }
    return sorted(found)


# --- a submission -----------------------------------------------------------------------------------------------------


class _SubmissionParcel(Record, frozen=True, kw_only=True):
    student: str
    assignment: str
    submitted_at: str
    files: dict[str, bytes]
    runs: dict[str, bytes]
    """Notebook -> its kept run, packed."""
    strange: dict[str, int | str]
    """What must not be followed or is too much to send, so that it is refused there in the same words as here."""


def pack_submission(submission: Submission, runs: Mapping[str, bytes]) -> bytes:
    """What was handed in, as it is now, and kept runs of its notebooks. Nothing in it is followed."""
    folder = Path(submission.folder)
    files = {}
    for path in course.handed_in(submission):
        try:
            files[path] = read_below(folder, path, _MOST_BYTES)
        except StudentError:  # it has changed since it was listed
            continue
    at = submission.submitted_at
    return msgspec.msgpack.encode(
        _SubmissionParcel(
            student=submission.student,
            assignment=submission.assignment,
            submitted_at=at.isoformat() if at else "",
            files=files,
            runs=dict(runs),
            strange={path: kind for path, kind in strange_entries(folder).items() if path not in files},
        )
    )


def unpack_submission(data: bytes, folder: Path) -> Submission:
    """The submission, in an empty folder of this machine that only the grader may enter."""
    parcel = msgspec.msgpack.decode(data, type=_SubmissionParcel)
    own = folder / "submission"
    own.mkdir()
    for path, content in parcel.files.items():
        _write(own, path, content)
    for stem, run in parcel.runs.items():
        shelf.put_run(_inside(folder, f"{_KEPT}/{parcel.student}"), stem, run)
    for path, kind in parcel.strange.items():
        _make_strange(_inside(own, path), kind, folder / "twice")
    return Submission(
        student=parcel.student,
        assignment=parcel.assignment,
        folder=str(own),
        submitted_at=datetime.fromisoformat(parcel.submitted_at) if parcel.submitted_at else None,
    )


def with_runs(plan: Plan, folder: Path) -> Plan:
    """The plan for a submission that was unpacked into a folder: its kept runs are there, if any are kept."""
    return msgspec.structs.replace(plan, kept=str(folder / _KEPT)) if plan.kept else plan


def _make_strange(path: Path, kind: int | str, other: Path) -> None:
    """Something that is refused for the same reason: a link to nowhere, a second name, a pipe, a size without data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir(exist_ok=True)
    elif kind == "link":
        path.symlink_to("nowhere")
    elif kind == "twice":
        other.touch()
        path.hardlink_to(other)
    elif isinstance(kind, int):
        with path.open("wb") as made:
            made.truncate(kind)
    else:
        os.mkfifo(path)


# --- what was graded --------------------------------------------------------------------------------------------------


class _GradedParcel(Record, frozen=True, kw_only=True):
    score: bytes
    executed: dict[str, bytes]
    submitted_at: str
    log: bytes
    notes: tuple[str, ...]
    runs: dict[str, bytes]
    ran: bool
    notices: tuple[str, ...]


def pack_graded(graded: Graded, notices: Iterable[str] = ()) -> bytes:
    """A score with the notebooks that were executed for it, their runs, and what there is to say of the machine."""
    at = graded.submitted_at
    return msgspec.msgpack.encode(
        _GradedParcel(
            score=msgspec.json.encode(graded.score),
            executed={stem: _from_notebook(nb) for stem, nb in graded.executed.items()},
            submitted_at=at.isoformat() if at else "",
            log=graded.log.encode(errors="replace"),
            notes=graded.notes,
            runs=dict(graded.runs),
            ran=graded.ran,
            notices=tuple(notices),
        )
    )


def unpack_graded(data: bytes, submission: Submission) -> tuple[Graded, tuple[str, ...]]:
    """What was graded of a submission, and what there is to say. Raises ValueError for what is no parcel of that."""
    parcel = msgspec.msgpack.decode(data, type=_GradedParcel)
    score = msgspec.json.decode(parcel.score, type=Score)
    if (score.student, score.assignment) != (submission.student, submission.assignment):
        raise ValueError("what came back is the score of another submission")
    graded = Graded(
        score=score,
        executed={stem: json.loads(nb) for stem, nb in parcel.executed.items()},
        submitted_at=datetime.fromisoformat(parcel.submitted_at) if parcel.submitted_at else None,
        log=parcel.log.decode(),
        notes=parcel.notes,
        runs=parcel.runs,
        ran=parcel.ran,
    )
    return graded, parcel.notices


# --- files ------------------------------------------------------------------------------------------------------------


def _from_notebook(nb: Mapping[str, Any]) -> bytes:
    return json.dumps(nb).encode()


def _write(folder: Path, path: str, content: bytes) -> None:
    file = _inside(folder, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _inside(folder: Path, path: str) -> Path:
    """The path below the folder. Raises ValueError for one that leads out of it."""
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(path)
    return folder / path
