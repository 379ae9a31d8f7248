"""The nouns of coursekit, in the order they flow, as frozen records.

Course -> Assignment -> Release -> Submission -> Run -> Measurement -> Check -> Score -> Grade.
YAML comes in and JSON goes out through these and nothing else. Sizes are bytes, times are seconds,
shares are fractions of one, unless the field's name says otherwise. What is not known is a word, never NaN or zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

Outcome = Literal["passed", "failed", "blocked", "broken"]
"""What became of a check: blocked means something it needs failed, broken means it is our fault."""

Unscored = Literal["unscored"]
SandboxName = Literal["bwrap", "none"]
Status = Literal["exact", "measured", "calibrated", "scaled", "datasheet", "uncalibrated"]
"""How a figure is known. An uncalibrated one is shown and never graded."""

SCORE_SCHEMA = "coursekit/score/v1"


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that is made once and never changed; an unknown field in its file is an error."""


# --- Course and assignment: what an author writes -----------------------------------------------------------------


class Late(Record, frozen=True, kw_only=True):
    """A late policy: this share of the score is lost per day begun, and after so many days nothing is accepted."""

    percent_per_day: float = 0.0
    days: int = 0


class Course(Record, frozen=True, kw_only=True):
    """`assignments/course.yaml`: one course in one term."""

    title: str = ""
    term: str = ""
    gradebook: str = "sqlite:///gradebook.db"
    """A database URL as SQLAlchemy reads it; a relative SQLite path starts at the course folder."""
    late: Late | None = None
    """The policy of assignments that state none of their own."""
    extensions: dict[str, dict[str, datetime]] = {}
    """Assignment name -> student id -> the due time that holds for this student."""


class Artifact(Record, frozen=True, kw_only=True):
    """A file that is measured: who makes it, where it lies, and how large it may be at most."""

    path: str
    made_by: Literal["notebook", "student"] = "notebook"
    max_bytes: int = 10_000_000


class Limits(Record, frozen=True, kw_only=True):
    """What one submission may use while it runs. Past a limit it is stopped and told so."""

    seconds: float = 300.0
    cell_seconds: float = 120.0
    memory_bytes: int = 4_000_000_000
    processes: int = 256
    disk_bytes: int = 500_000_000
    output_bytes: int = 4_000_000
    message_bytes: int = 16_000_000


class Band(Record, frozen=True, kw_only=True, rename={"pass_": "pass"}):
    """Pass earns 60 % of the points, full earns all, in between they rise linearly, below pass there are none."""

    pass_: float
    full: float


class Target(Record, frozen=True, kw_only=True):
    """A metric with pass and full marks: a check that needs no code."""

    id: str
    metric: str
    points: float
    at_most: Band | None = None
    at_least: Band | None = None
    profile: str | None = None
    data: Literal["hidden", "public"] | None = None
    needs: tuple[str, ...] = ()
    """Ids of checks that have to pass before this one counts: a model that is small and useless earns nothing by it."""
    title: str = ""
    """The sentence a student reads; drawn from metric and band when empty."""
    hint: str = ""
    """What to try when it fails."""


class Assignment(Record, frozen=True, kw_only=True):
    """`assignments/NAME/assignment.yaml`: the facts of one assignment; no code, no templates."""

    name: str
    title: str
    notebook: str
    chapter: str = ""
    due: datetime | None = None
    artifact: Artifact | None = None
    baseline: Artifact | None = None
    """The student's own unoptimised model, for metrics that compare with it."""
    limits: Limits = Limits()
    late: Late | None = None
    preload: tuple[str, ...] | None = None
    """Modules that every notebook imports, imported once for all; those of the released notebook if not stated."""
    targets: tuple[Target, ...] = ()


# --- Release and submission ----------------------------------------------------------------------------------------


class Release(Record, frozen=True, kw_only=True):
    """What students were given: the folder and the hash of each file in it."""

    assignment: str
    folder: str
    files: dict[str, str]
    """Relative path -> sha256."""


class Submission(Record, frozen=True, kw_only=True):
    """What one student handed in, as a folder and a time. Nothing in it has been looked at."""

    student: str
    assignment: str
    folder: str
    submitted_at: datetime | None = None


class GradedCell(Record, frozen=True, kw_only=True):
    """A cell of the release that carries nbgrader metadata, in the order of the notebook.

    `source` holds the hidden tests too: it comes from the gradebook, never from what students have.
    """

    id: str
    cell_type: Literal["code", "markdown", "raw"]
    source: str
    released_source: str
    """The source as students got it; equal to `source` unless hidden tests were cut."""
    points: float | None = None
    grade: bool = False
    solution: bool = False
    locked: bool = False
    task: bool = False
    cell_id: str = ""
    """The notebook format's own cell id, which editors keep when they lose metadata."""

    @property
    def manual(self) -> bool:
        """True if a person marks it."""
        return self.task or (self.grade and self.solution)


# --- Run: what happened when the notebook ran ----------------------------------------------------------------------


class Failure(Record, frozen=True, kw_only=True):
    """A cell that raised: its number among the code cells from 1, the exception, and its first source lines."""

    cell: int
    name: str
    message: str
    source: str


class Collected(Record, frozen=True, kw_only=True):
    """An artifact as it was read: never more than its path, size and hash are kept here."""

    path: str
    bytes: int = 0
    sha256: str = ""
    problem: str = ""
    """A sentence for the student when there is nothing to measure; empty when there is."""


class Run(Record, frozen=True, kw_only=True):
    """One execution of one notebook in one box; `doubts` says, by grade id, why a test's outputs cannot be believed."""

    state: Literal["finished", "stopped", "not run"]
    """finished: every cell was run; stopped: a limit ended it; not run: there was nothing that could be run."""
    reason: str = ""
    """Why it did not finish, as a sentence for the student."""
    sandbox: SandboxName = "bwrap"
    failures: tuple[Failure, ...] = ()
    doubts: dict[str, str] = {}
    artifact: Collected | None = None
    baseline: Collected | None = None
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


class Finished(Record, frozen=True, kw_only=True):
    """A program that ran in a box: its exit status, what it printed and what it used."""

    returncode: int
    stdout: bytes
    stderr: bytes
    stopped: str = ""
    """The limit that ended it, as words; empty when it ended by itself."""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


RunInside = Callable[[Sequence[str], Mapping[str, bytes]], Finished]
"""Runs a Python module with arguments in a fresh box without student code, with these files in its working folder.

The edges that measure take one, so that they need not know how a box is made. The first word is the module,
the rest its arguments; file names are plain names without folders.
"""


# --- Measurement, check, score, grade ------------------------------------------------------------------------------


class Measurement(Record, frozen=True, kw_only=True):
    """One figure about one model. The metric's name carries the unit."""

    metric: str
    value: int | float | str
    unit: str
    engine: str
    profile: str | None = None
    band: float = 0.0
    """Half-width of the error band as a share of the value: 0.12 is plus or minus 12 %."""
    status: Status = "exact"
    note: str = ""
    interval: tuple[float, float] | None = None
    """The 95 % confidence interval of a figure that was timed, or found on a sample of inputs."""


class Part(Record, frozen=True, kw_only=True):
    """What one operator takes on a board."""

    operator: str
    name: str
    """The tensor that it makes, which is where converters leave the layer's name."""
    nanoseconds: int
    per_mille: int
    """Its share of the whole model's time."""
    cycles: int | None = None
    bound: str = ""
    """What its time goes into, where the engine can say: arithmetic, memory, overhead."""
    calibrated: bool = True
    """False if more than half of its time has prices that no measurement supports."""
    work: dict[str, int] = {}
    """What it does: multiply-accumulates, values, bytes, by kind."""


class Breakdown(Record, frozen=True, kw_only=True):
    """What a model takes on one board, operator by operator, in the order in which they run."""

    profile: str
    engine: str
    parts: tuple[Part, ...]
    nanoseconds: int
    cycles: int | None = None
    band: float = 0.0
    status: Status = "exact"
    note: str = ""
    refusal: str = ""
    """Why it cannot be said; then there are no parts."""
    unsupported_per_mille: int = 0
    """The share of the time whose price no measurement supports."""
    unsupported: tuple[str, ...] = ()
    """The operators that it comes from, the dearest first."""


class Check(Record, frozen=True, kw_only=True):
    """One question asked of one submission, and what it earned."""

    id: str
    sentence: str
    outcome: Outcome
    points: float
    earned: float | Unscored
    hint: str = ""
    hidden: bool = True
    measurement: Measurement | None = None
    target: Target | None = None


class Waiting(Record, frozen=True, kw_only=True):
    """A cell that a person still has to mark; of a check that cannot be believed, with the reason."""

    id: str
    points: float
    reason: str = ""


class Marked(Record, frozen=True, kw_only=True):
    """A cell that a person has marked."""

    id: str
    points: float
    earned: float


class Provenance(Record, frozen=True, kw_only=True):
    """What the score was computed from: enough to compute it again and to see why it changed."""

    coursekit: str
    submission_sha256: str
    grader_sha256: str
    environment_sha256: str
    seed_id: str
    artifact_sha256: str = ""
    profiles: dict[str, str] = {}
    """Profile name -> sha256 of its file."""
    tools: dict[str, str] = {}
    """Package -> version."""


class Grade(Record, frozen=True, kw_only=True):
    """A score after lateness."""

    due: datetime | None
    submitted_at: datetime | None
    days_late: int
    penalty: float | Unscored
    """Points taken off."""
    earned: float | Unscored
    extended: bool = False


class Score(Record, frozen=True, kw_only=True):
    """`score.json`: what one submission earned. Every view is drawn from this record."""

    schema: str = SCORE_SCHEMA
    assignment: str
    title: str = ""
    student: str
    status: Literal["scored", "unscored"]
    reason: str = ""
    """Why there is no score, and whose move it is; empty when there is one."""
    earned: float | Unscored
    possible: float
    checks: tuple[Check, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    marked: tuple[Marked, ...] = ()
    """Empty in `score.json`, which holds what the grader knows; a report fills it from the gradebook."""
    withheld: int = 0
    """Checks that exist and were not run here: the hidden ones, when a student checks their own work."""
    notes: tuple[str, ...] = ()
    """What was repaired in the notebook before it ran, as sentences for the student."""
    run: Run | None = None
    grade: Grade | None = None
    provenance: Provenance | None = None


# --- What commands answer -------------------------------------------------------------------------------------------


class Held(Record, frozen=True, kw_only=True):
    """One promise of the sandbox, tried in a real box."""

    limit: str
    held: bool
    detail: str


class Case(Record, frozen=True, kw_only=True):
    """`autograder/NAME/wrong/CASE.yaml`: a known wrong answer and what it must earn."""

    why: str
    """The mistake, as a sentence."""
    cells: dict[str, str] = {}
    """Grade id -> the source that replaces the reference's."""
    earns: dict[str, float] = {}
    """Check id -> points, for every check that does not earn full points."""
    blocked: tuple[str, ...] = ()
    """Checks that must be blocked, not failed; they earn nothing."""


class Proof(Record, frozen=True, kw_only=True):
    """What the reference or one known wrong answer earned, and whether that is what is written down."""

    assignment: str
    case: str
    why: str
    expected: dict[str, float]
    earned: dict[str, float | Unscored]
    holds: bool
    differences: tuple[str, ...] = ()
