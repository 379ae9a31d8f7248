"""Grading one submission: put the release's cells back, have it examined, and add up what it earned.

The submission is bytes until `notebook` has parsed it, and runs only in the box of the trusted pytest process. What a
student did wrong becomes a sentence in their score; what we did wrong becomes a score that is not there.
"""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from coursekit import canaries, cellgrades, course, examiner, gradebook, notebook, scoring, shelf, specs
from coursekit.errors import CoursekitError, MachineError, MissingWork, StudentError, lacking
from coursekit.ingredients import Ingredients, run_key, sha256
from coursekit.plainfile import read_below
from coursekit.records import (
    Assignment,
    Check,
    GradedCell,
    Late,
    Provenance,
    Run,
    SandboxName,
    Score,
    Submission,
    Waiting,
)
from coursekit.tasks import Examination, Task, Zygotes

_MOST_BYTES = 110_000_000
_LOG_BYTES = 1_000_000
_TIME_FILE = "timestamp.txt"
_PAGE = 4096


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for every submission of an assignment: the release, the checks and what the score depends on."""

    assignment: Assignment
    notebooks: Mapping[str, dict[str, Any]]
    """Notebook name without suffix -> the notebook as it was released."""
    cells: Mapping[str, tuple[GradedCell, ...]]
    files: Mapping[str, str]
    """Path in the working folder -> path here: the data that came with the release."""
    checks: tuple[str, ...] = ()
    hidden: str = ""
    profiles: tuple[str, ...] = ()
    seed: str = ""
    sandbox: SandboxName = "bwrap"
    late: Late | None = None
    extensions: Mapping[str, datetime] = {}
    grader_sha256: str = ""
    environment_sha256: str = ""
    tools: Mapping[str, str] = {}
    zygotes: Zygotes = Zygotes()
    ingredients: Ingredients = Ingredients()
    """What every score of the class depends on."""
    kept: str = ""
    """Folder of the runs that were kept, by student; empty where none are kept."""
    anew: bool = False
    """Whether no kept run may stand for a new one."""
    cold: bool = False
    """Whether kernels and what opens models start cold."""


class Graded(msgspec.Struct, frozen=True, kw_only=True):
    """A score, and the notebooks that were executed for it."""

    score: Score
    executed: Mapping[str, dict[str, Any]] = {}
    submitted_at: datetime | None = None
    log: str = ""
    """What the trusted process printed, when something of ours was broken."""
    ingredients: Ingredients = Ingredients()
    notes: tuple[str, ...] = ()
    """The score's notes without the one on the time of submission."""
    runs: Mapping[str, bytes] = {}
    """Notebook -> its run, packed, as it may be kept."""
    ran: bool = False
    """Whether a notebook was run, and not taken up from a kept run."""
    machine: bool = False
    """Whether something broke because of the machine, so that another may do better."""


def grade(plan: Plan, submission: Submission, stop: threading.Event) -> Graded:
    """The score of one submission. Raises examiner.Stopped if `stop` is set; every fault becomes part of the score."""
    depends = ingredients(plan, submission)  # before anything is read to be run: what changes meanwhile is seen later
    with shelf.scratch() as scratch:
        parts = [_examine(plan, submission, depends, stem, scratch / stem, stop) for stem in sorted(plan.notebooks)]
    return _put_together(plan, submission, depends, parts)


def unscored(plan: Plan, submission: Submission, error: Exception) -> Graded:
    """The score that is not there because our own code failed on this submission, with the traceback as its log."""
    log = f"scores/{submission.student}/{submission.assignment}/grader.log"
    ours = lacking(error) if isinstance(error, OSError) else error
    what = ours.what if isinstance(ours, CoursekitError) else f"{type(error).__name__} while grading; {log} has it"
    score = scoring.score(assignment=plan.assignment, student=submission.student, checks=(), broken=what)
    machine = isinstance(error, MachineError | OSError)
    return Graded(score=score, log="".join(traceback.format_exception(error)), machine=machine)


def ingredients(plan: Plan, submission: Submission) -> Ingredients:
    """What the score of one submission depends on."""
    spec, until = plan.assignment, plan.extensions.get(submission.student)
    named = [f"{stem}.ipynb" for stem in plan.notebooks]
    named += [each.path for each in (spec.artifact, spec.baseline) if each is not None and each.made_by == "student"]
    found = course.hashes(submission, named)
    moment = found.pop(_TIME_FILE, "none") if submission.submitted_at is None else submission.submitted_at.isoformat()
    own = Ingredients(
        run={f"submission/{path}": content for path, content in found.items()},
        time={"the time of submission": moment, "the extension": until.isoformat() if until else "none"},
    )
    return plan.ingredients | own


def kept_runs(plan: Plan, submission: Submission, depends: Ingredients) -> dict[str, bytes]:
    """Notebook -> its kept run, packed, of those that may stand for a new one."""
    if not plan.kept or plan.anew:
        return {}
    files = {stem: shelf.run_file(Path(plan.kept) / submission.student, stem) for stem in plan.notebooks}
    runs = {stem: shelf.read_run(file) for stem, file in files.items()}
    may = {stem: run for stem, run in runs.items() if run is not None and run.whole}
    return {stem: shelf.pack(run) for stem, run in may.items() if run.key == run_key(depends, stem)}


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """One notebook of a submission, examined."""

    stem: str
    examination: Examination
    notes: tuple[str, ...] = ()
    executed: dict[str, Any] | None = None
    log: str = ""
    kept: bytes = b""


def _examine(
    plan: Plan, submission: Submission, depends: Ingredients, stem: str, out: Path, stop: threading.Event
) -> _Part:
    out.mkdir(mode=0o700)
    restored, refusal, hidden_from = "", "", 0
    notes: tuple[str, ...] = ()
    try:
        nb, notes = _restored(plan, submission, stem)
        hidden_from = cellgrades.hidden_from(nb, plan.cells[stem])
        restored = str(out / "restored.ipynb")
        Path(restored).write_text(json.dumps(nb))
    except StudentError as error:
        refusal = str(error)
    files, left_out = _files(plan, submission)
    task = Task(
        assignment=plan.assignment,
        student=submission.student,
        notebook=restored,
        refusal=refusal,
        submission=submission.folder,
        files=files,
        checks=plan.checks,
        hidden=plan.hidden,
        profiles=plan.profiles,
        seed=plan.seed,
        sandbox=plan.sandbox,
        zygotes=plan.zygotes,
        out=str(out),
        watched=_watched(plan, stem),
        hidden_from=hidden_from,
        run_key=run_key(depends, stem) if plan.kept else "",
        kept=str(shelf.run_file(Path(plan.kept) / submission.student, stem)) if plan.kept and not plan.anew else "",
    )
    executed: dict[str, Any] | None = None
    try:
        examination = examiner.examine(task, stop, plan.zygotes.examinations)
        if (out / "executed.ipynb").is_file():
            executed = json.loads((out / "executed.ipynb").read_bytes())
    except CoursekitError as error:
        run = Run(state="not run", reason="", sandbox=plan.sandbox)
        examination = Examination(run=run, checks=(), broken=error.what, machine=isinstance(error, MachineError))
    broken = examination.broken or any(check.outcome == "broken" for check in examination.checks)
    kept = out / shelf.FRESH_RUN
    return _Part(
        stem=stem,
        examination=examination,
        notes=(*notes, *left_out),
        executed=executed,
        log=examiner.log(out, _LOG_BYTES) if broken else "",
        kept=kept.read_bytes() if kept.is_file() else b"",
    )


def _watched(plan: Plan, stem: str) -> dict[str, tuple[dict[str, str], tuple[str, ...]]]:
    """The cells of one notebook whose tests run inside the student's process: their tools, and what students know."""
    code = [cell["source"] for cell in notebook.code_cells(dict(plan.notebooks[stem]))]
    tests = (cell for cell in plan.cells[stem] if cell.grade and not cell.solution and cell.cell_type == "code")
    return {
        cell.id: (canaries.tools(cell.source, code), canaries.phrases(cell.released_source))
        for cell in tests
        if specs.has_test(cell.source)
    }


def _restored(plan: Plan, submission: Submission, stem: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The notebook as it will run: the student's answers in the release's frame, and what had to be mended."""
    data, notes = _handed_in(plan, submission, stem)
    submitted = notebook.parse(data, f"{stem}.ipynb")
    nb, mended = notebook.restore(submitted, dict(plan.notebooks[stem]), plan.cells[stem])
    return nb, (*notes, *mended)


def _handed_in(plan: Plan, submission: Submission, stem: str) -> tuple[bytes, tuple[str, ...]]:
    """The notebook's bytes; where there is only one and it has another name, that one."""
    folder = Path(submission.folder)
    try:
        return read_below(folder, f"{stem}.ipynb", _MOST_BYTES), ()
    except MissingWork:
        others = [path for path in course.handed_in(submission) if path.endswith(".ipynb")]
        if len(plan.notebooks) > 1 or len(others) != 1:
            there = f" There is {', '.join(others)}." if others else ""
            raise MissingWork(f"No notebook '{stem}.ipynb' was handed in.{there}") from None
        note = f"'{others[0]}' was taken for '{stem}.ipynb'; keep the name it was released with."
        return read_below(folder, others[0], _MOST_BYTES), (note,)


def _files(plan: Plan, submission: Submission) -> tuple[dict[str, str], tuple[str, ...]]:
    """What lies in the working folder: the student's other files, under those of the release; and what was left out.

    A box has room for so many bytes; what does not fit is no reason not to run the notebook.
    """
    made = {each.path for each in (plan.assignment.artifact, plan.assignment.baseline) if each is not None}
    own: dict[str, str] = {}
    left_out: list[str] = []
    room = plan.assignment.limits.disk_bytes - sum(_taken(Path(here)) for here in plan.files.values())
    for path, here in course.handed_in(submission).items():
        if path.endswith(".ipynb") or path in made or path == _TIME_FILE:
            continue
        size = _taken(Path(here))
        if size > room:
            left_out.append(path)
            continue
        own[path] = here
        room -= size
    more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    note = f"'{left_out[0]}'{more} did not fit into the sandbox, and was left out." if left_out else ""
    return own | dict(plan.files), (note,) * bool(note)


def _taken(file: Path) -> int:
    """What a file takes in a box, in whole pages; nothing if it has gone."""
    try:
        return -(-file.lstat().st_size // _PAGE) * _PAGE
    except OSError:
        return 0


# --- the score --------------------------------------------------------------------------------------------------------


def _put_together(plan: Plan, submission: Submission, depends: Ingredients, parts: list[_Part]) -> Graded:
    executed = {part.stem: part.executed for part in parts if part.executed is not None}
    asked = _in_order(plan, [check for part in parts for check in part.examination.checks], executed)
    checks, held = cellgrades.held_back(asked, _doubts(plan, parts))
    broken = next((part.examination.broken for part in parts if part.examination.broken), "") or _misfit(plan, checks)
    notes = tuple(note for part in parts for note in part.notes)
    score = scoring.score(
        assignment=plan.assignment,
        student=submission.student,
        checks=checks,
        waiting=(*held, *_waiting(plan, executed)),
        run=_whole_run([part.examination.run for part in parts], _doubts(plan, parts)),
        notes=notes,
        broken=broken,
        provenance=_provenance(plan, submission, parts),
    )
    graded = Graded(
        score=score,
        executed=executed,
        log="\n".join(part.log for part in parts if part.log),
        ingredients=depends,
        notes=notes,
        runs={part.stem: part.kept for part in parts if part.kept},
        ran=any(part.examination.ran for part in parts),
        machine=any(part.examination.machine for part in parts),
    )
    return timed(plan, submission, graded)


def timed(plan: Plan, submission: Submission, graded: Graded) -> Graded:
    """The same after lateness, by the time of submission and the policy of now."""
    submitted_at, time_note = _submitted_at(submission)
    score = graded.score
    grade_ = scoring.lateness(
        plan.assignment.due, submitted_at, plan.late, score.earned, plan.extensions.get(submission.student)
    )
    provenance = score.provenance
    if provenance is not None:
        provenance = msgspec.structs.replace(provenance, submission_sha256=_submission_sha256(submission))
    score = msgspec.structs.replace(score, grade=grade_, notes=(*graded.notes, *time_note), provenance=provenance)
    return msgspec.structs.replace(graded, score=score, submitted_at=submitted_at)


def _in_order(plan: Plan, asked: list[Check], executed: Mapping[str, dict[str, Any]]) -> tuple[Check, ...]:
    """Our checks and those that stand in the notebook itself, in the notebook's order."""
    ours = {check.id: check for check in asked}
    theirs = {stem: tuple(cell for cell in cells if cell.id not in ours) for stem, cells in plan.cells.items()}
    if plan.checks:
        theirs = _with_own_asserts(theirs)
    known = ours | {check.id: check for check in cellgrades.grade_notebooks(theirs, executed)}
    order = [name for name in cellgrades.check_ids(plan.cells).values() if name in known]
    return tuple(known[name] for name in [*order, *(name for name in known if name not in order)])


def _with_own_asserts(cells: Mapping[str, tuple[GradedCell, ...]]) -> dict[str, tuple[GradedCell, ...]]:
    """Of an assignment with our checks, the test cells that do something: ours are comments."""
    return {
        stem: tuple(cell for cell in each if cell.solution or not cell.grade or specs.has_test(cell.source))
        for stem, each in cells.items()
    }


def _misfit(plan: Plan, checks: Iterable[Check]) -> str:
    """How the checks differ from the released cells, as they do when an author changes one side; else nothing."""
    ids = cellgrades.check_ids(plan.cells)
    automatic = {ids[stem, cell.id]: cell for stem, cells in plan.cells.items() for cell in cells if not cell.manual}
    worth = {name: cell.points or 0.0 for name, cell in automatic.items() if cell.grade}
    for check in checks:
        if check.id not in worth:
            return f"check '{check.id}' has no cell in the release"
        if check.points != worth[check.id]:
            return f"check '{check.id}' is worth {check.points:g} points, and its released cell {worth[check.id]:g}"
    missing = worth.keys() - {check.id for check in checks}
    return f"the cell '{min(missing)}' was released and has no check" if missing else ""


def _waiting(plan: Plan, executed: Mapping[str, dict[str, Any]]) -> Iterator[Waiting]:
    """The cells that a person marks; one left as it was handed out earns nothing and waits for nobody."""
    ids = cellgrades.check_ids(plan.cells)
    for stem, cells in plan.cells.items():
        everything = {cell.id for cell in cells}
        empty = cellgrades.unanswered(cells, executed[stem]) if stem in executed else everything
        for cell in cells:
            if cell.manual and cell.id not in empty:
                yield Waiting(id=ids[stem, cell.id], points=cell.points or 0.0)


def _doubts(plan: Plan, parts: list[_Part]) -> dict[str, str]:
    """Check id -> why the outputs of its cell cannot be believed."""
    ids = cellgrades.check_ids(plan.cells)
    return {ids[part.stem, name]: why for part in parts for name, why in part.examination.run.doubts.items()}


def _whole_run(runs: list[Run], doubts: dict[str, str]) -> Run:
    """The runs of all notebooks of a submission as one: the times added, the worst state."""
    worst = min(runs, key=lambda run: ("not run", "stopped", "finished").index(run.state))
    return msgspec.structs.replace(
        worst,
        doubts=doubts,
        failures=tuple(failure for run in runs for failure in run.failures),
        wall_seconds=round(sum(run.wall_seconds for run in runs), 3),
        cpu_seconds=round(sum(run.cpu_seconds for run in runs), 3),
        peak_memory_bytes=max(run.peak_memory_bytes for run in runs),
    )


def _submitted_at(submission: Submission) -> tuple[datetime | None, tuple[str, ...]]:
    try:
        return submission.submitted_at or gradebook.timestamp(Path(submission.folder)), ()
    except StudentError as error:
        return None, (f"{error.what} The time of submission is not known.",)


def _provenance(plan: Plan, submission: Submission, parts: list[_Part]) -> Provenance:
    from coursekit import __version__, profiles  # noqa: PLC0415 - the version is not a room

    artifact = parts[0].examination.run.artifact
    folders = tuple(map(Path, plan.profiles))
    used = sorted({target.profile for target in plan.assignment.targets if target.profile})
    return Provenance(
        coursekit=__version__,
        submission_sha256=_submission_sha256(submission),
        grader_sha256=plan.grader_sha256,
        environment_sha256=plan.environment_sha256,
        seed_id=course.seed_id(plan.seed),
        artifact_sha256=artifact.sha256 if artifact else "",
        profiles={name: profiles.sha256(name, folders) for name in used},
        tools=dict(plan.tools),
    )


def _submission_sha256(submission: Submission) -> str:
    """One hash over the names and contents of what was handed in."""
    return sha256(course.hashes(submission))
