"""Files that a grading left, damaged: what reads them says so in a sentence, or grades again; no score is made up."""

import contextlib
import csv
import hashlib
import io
import json
import shutil
from types import SimpleNamespace

import click
import msgspec
import pytest
from hypothesis import strategies as st

import courses
from coursekit import course, examiner, shelf
from coursekit.cli import cli
from coursekit.errors import CoursekitError
from coursekit.records import Run, Score
from coursekit.tasks import Examination
from fuzzing import fuzzed
from made_up import JUNK, as_bytes, assert_one_sentence, changed, damaged

pytestmark = pytest.mark.box

NAME = "doubling"
FACTS = "due: 2027-02-12T23:59:00Z\nlate: {percent_per_day: 10, days: 3}\n"
WHEN = "2027-02-13 10:00:00 UTC\n"


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class of one, graded twice: the checks changed in between."""
    root = courses.released(courses.make(tmp_path_factory.mktemp("class"), facts=FACTS), NAME)
    courses.submit(root, "ada", {"answer": "def double(x):\n    return 3 * x"}, files={"timestamp.txt": WHEN})
    courses.grade(root, box="none")
    checks = root / "autograder" / NAME / f"test_{NAME}.py"
    checks.write_text(checks.read_text().replace("2 * x)", "3 * x)"))
    score = courses.grade(root, box="none")["ada"]
    assert score.earned == 3.0
    said("report", NAME, root=root)
    return SimpleNamespace(root=root, row=row(root), score=score)


def row(root):
    with (root / "scores" / f"{NAME}.csv").open(newline="") as file:
        (only,) = csv.DictReader(file)
    return only


def said(*words, root):
    """What a command prints, and the error it ends with; anything but an error of ours is a traceback."""
    printed, told = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told):
            cli.main([*words, "--course", str(root)], standalone_mode=False)
    except CoursekitError as error:
        assert_one_sentence(error)
        return printed.getvalue(), error
    except click.exceptions.Exit:
        pass
    assert "Traceback" not in printed.getvalue() + told.getvalue()
    assert "Warning" not in told.getvalue()
    return printed.getvalue(), None


@contextlib.contextmanager
def instead(file, data, *gone):
    """A file with other content, and others away, for as long as the block lasts."""
    before, mode = file.read_bytes(), file.stat().st_mode
    away = {path: path.rename(path.with_name(f"away-{path.name}")) for path in gone}
    file.chmod(0o600)
    file.write_bytes(data)
    try:
        yield
    finally:
        file.write_bytes(before)
        file.chmod(mode)
        for path, moved in away.items():
            shutil.rmtree(path, ignore_errors=True)
            moved.rename(path)


EXECUTED = [
    json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {},
            "cells": [
                {
                    "id": "a",
                    "cell_type": "code",
                    "source": "1",
                    "metadata": {
                        "nbgrader": {
                            "grade_id": "five",
                            "grade": True,
                            "points": 2.0,
                            "locked": True,
                            "solution": False,
                            "schema_version": 3,
                            "task": False,
                        }
                    },
                    "outputs": [],
                    "execution_count": 1,
                },
                {"id": "b", "cell_type": "markdown", "source": "x", "metadata": {}},
            ],
        }
    ).encode()
]


def as_file(drawn):
    return drawn if isinstance(drawn, bytes) else str(drawn).encode()


def from_file(data):
    return int(data) if data.isdigit() else data


def changed_run():
    """A kept run in which a few bytes are others, behind the right hash."""
    run = shelf.KeptRun(
        key="k", whole=True, run=Run(state="finished"), executed=b"{}", artifacts={"m": b"1"}, answers={"p": b"1"}
    )
    return damaged([msgspec.msgpack.encode(run)])


def files(made, *patterns):
    return [path for pattern in patterns for path in sorted(made.root.glob(pattern))]


# --- Files of results -------------------------------------------------------------------------------------------------

CHECKS = [
    {"id": "five", "sentence": "double(5) is 10.", "outcome": "failed", "points": 2.0, "earned": 0.0, "hint": "Ten."},
    {"id": "arrays", "sentence": "Arrays.", "outcome": "passed", "points": 3.0, "earned": 3.0, "hidden": True},
]
USED = {"wall_seconds": 0.8, "cpu_seconds": 0.5, "peak_memory_bytes": 60_000_000}
RUN = {"state": "finished", "sandbox": "none", "failures": [{"cell": 1, "name": "E", "message": "m", "source": "s"}]}
GRADE = {"due": "2027-02-12T23:59:00Z", "submitted_at": "2027-02-13T10:00:00Z", "days_late": 1, "penalty": 0.3}
SCORE = {
    "schema": "coursekit/score/v1",
    "assignment": NAME,
    "student": "ada",
    "status": "scored",
    "earned": 3.0,
    "possible": 5.0,
    "checks": CHECKS,
    "waiting": [{"id": "why", "points": 5.0}],
    "run": RUN | USED,
    "grade": GRADE | {"earned": 2.7},
}
INGREDIENTS = {"run": {"coursekit": "0.1.0"}, "checks": {"points": "a"}, "time": {"the extension": "none"}}
KEPT = {
    "schema": "coursekit/kept/v1",
    "ingredients": INGREDIENTS,
    "score_sha256": "0" * 64,
    "gradebook": "",
    "stems": [NAME],
    "notes": [],
    "graded_at": "2026-11-25T19:45:58Z",
}


@fuzzed("score.json", changed(SCORE), examples=15, weight=2)
def test_a_damaged_score_is_refused_or_graded_again_and_never_reported(data, graded):
    file = course.score_file(graded.root, "ada", NAME)
    with instead(file, data, graded.root / "autograded" / "ada"):
        _, error = said("report", NAME, root=graded.root)
        assert error is not None
        assert f"scores/ada/{NAME}/score.json" in error.where
        assert row(graded.root) == graded.row
        said("report", NAME, "--diff", root=graded.root)
        assert foreseen(graded) in {"check", "run"}


@fuzzed("score.json", changed(SCORE), examples=15)
def test_a_score_of_which_nothing_is_kept_is_shown_as_it_stands_or_refused(data, graded):
    file = course.score_file(graded.root, "ada", NAME)
    with instead(file, data, graded.root / "autograded" / "ada", graded.root / ".kept" / NAME / "ada"):
        _, error = said("report", NAME, root=graded.root)
        if error is None:
            found = msgspec.json.decode(data, type=Score)
            assert row(graded.root)["student"] == found.student == "ada"
    said("report", NAME, root=graded.root)
    assert row(graded.root) == graded.row


def foreseen(graded):
    """What the next grading would do with her submission."""
    printed, error = said("grade", NAME, "--dry-run", "--sandbox", "none", "--json", root=graded.root)
    assert error is None, error
    (decision,) = json.loads(printed)["decisions"]
    return decision["action"]


@fuzzed(
    "kept.json", st.one_of(changed(KEPT), st.integers(0, 2**20)), examples=12, weight=2, write=as_file, read=from_file
)
def test_a_damaged_note_of_what_was_kept_costs_at_most_a_grading(data, graded):
    """A whole number changes that byte of the real file."""
    for file in files(graded, ".kept/*/*/kept.json", ".kept/*/*/before.json"):
        with instead(file, flipped(file.read_bytes(), data) if isinstance(data, int) else data):
            assert foreseen(graded) in {"keep", "record", "check", "run"}
            said("report", NAME, "--diff", root=graded.root)


def flipped(whole, number):
    data = bytearray(whole)
    data[number % len(data)] ^= 1 << (number % 7)
    return bytes(data)


@fuzzed("kept-runs", st.integers(0, 2**20), examples=10, write=as_file, read=from_file)
def test_a_kept_run_of_which_one_bit_is_wrong_is_none(number, graded):
    (file,) = files(graded, ".kept/*/*/*.run")
    with instead(file, flipped(file.read_bytes(), number)):
        assert shelf.read_run(file) is None
        assert foreseen(graded) == "keep"


@fuzzed("runs", st.one_of(st.binary(max_size=200), changed_run()), examples=100)
def test_a_kept_run_that_is_whole_and_wrong_is_none_or_a_run(data, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "a.run"
    file.write_bytes(hashlib.sha256(data).digest() + data)
    run = shelf.read_run(file)
    assert run is None or isinstance(run, shelf.KeptRun)


# --- Files of one grading ---------------------------------------------------------------------------------------------

EXAMINATION = {"run": RUN | USED, "checks": CHECKS, "broken": "", "ran": True}


@fuzzed("examination.json", st.one_of(changed(EXAMINATION), damaged([json.dumps(EXAMINATION).encode()])), examples=200)
def test_a_damaged_examination_is_a_broken_grader_and_no_zero(data, tmp_path_factory):
    out = tmp_path_factory.getbasetemp()
    (out / "examination.json").write_bytes(data)
    (out / "pytest.log").write_bytes(data)
    try:
        found = examiner._read(out, 0, quote=True)
    except CoursekitError as error:
        assert_one_sentence(error, most=3_000)
        return
    assert isinstance(found, Examination)


# --- What lies beside -------------------------------------------------------------------------------------------------

TIMES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [WHEN, "0001-01-01 00:00:00 +2359", "9999-12-31 23:59:59 -2359", "1e9", "٣", "12:00", "XYZ", "now", "1/2/3"]
    ),
    st.lists(
        st.sampled_from(["2027", "-", "13", ":", "Feb", "UTC", "EST", "+99:99", "T", " ", ".", "99999999999", "am"])
    ).map("".join),
)


@fuzzed("timestamp.txt", st.one_of(TIMES.map(str.encode), damaged([WHEN.encode()])), examples=25, weight=2)
def test_a_timestamp_is_a_time_or_a_note_and_costs_no_more_than_lateness(data, graded):
    file = graded.root / "submitted" / "ada" / NAME / "timestamp.txt"
    with instead(file, data):
        printed, error = said("grade", NAME, "--sandbox", "none", "--json", root=graded.root)
        assert error is None, error
        (score,) = json.loads(printed)["scores"]
        assert (score["earned"], score["status"]) == (3.0, "scored")
        assert 0 <= score["grade"]["penalty"] <= 3.0
        assert len(score["notes"]) <= 1


@fuzzed("executed", st.one_of(damaged(EXECUTED), JUNK.map(as_bytes)), examples=8, weight=2)
def test_a_damaged_executed_notebook_gives_feedback_or_a_sentence(data, graded):
    (file,) = files(graded, f"autograded/ada/{NAME}/{NAME}.ipynb")
    with instead(file, data):
        said("report", NAME, root=graded.root)
