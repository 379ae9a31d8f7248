"""What goes to another machine and comes back: the same files, the same refusals, the same score."""

import os
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

import courses
from coursekit import course, grading, parcel, planning, shelf
from coursekit.errors import MissingWork, UnreadableWork
from coursekit.plainfile import plain_files, read_below
from coursekit.records import Assignment, Score, Submission


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    root = courses.make_shrink(tmp_path_factory.mktemp("course"))
    (root / "autograder" / "profiles").mkdir()
    (root / "autograder" / "shrink" / "points.csv").write_bytes(b"1,2\n")
    courses.released(root, "shrink")
    (root / "release" / "shrink" / "data.bin").write_bytes(bytes(range(256)))
    return planning.plan(root, planning.facts(root)[1], "shrink", "bwrap")


@pytest.mark.box
def test_a_plan_arrives_with_every_file_it_names_in_places_of_its_own(plan, tmp_path):
    data = parcel.pack_plan(plan)
    version, arrived = parcel.unpack_plan(data, tmp_path)
    assert version
    assert arrived.notebooks == plan.notebooks
    assert arrived.assignment == plan.assignment
    assert (tmp_path / "release" / "data.bin").read_bytes() == bytes(range(256))
    paths = [*arrived.checks, arrived.hidden, *arrived.files.values()]
    assert paths
    assert all(path.startswith(str(tmp_path)) and Path(path).exists() for path in paths)
    assert (tmp_path / "course" / "autograder" / "shrink" / "points.csv").is_file()
    assert not list(tmp_path.rglob(".seed"))  # the seed itself is in the plan
    assert arrived.seed == plan.seed
    assert parcel.facts(data).assignment == plan.assignment


def strange(folder):
    folder.mkdir()
    (folder / "work.ipynb").write_text("{}")
    (folder / "sub").mkdir()
    (folder / "sub" / "data.csv").write_text("1")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "away").symlink_to("/etc")
    (folder / "empty").mkdir()
    (folder / "one").write_text("x")
    (folder / "two").hardlink_to(folder / "one")
    os.mkfifo(folder / "pipe")
    return Submission(student="ada", assignment="a", folder=str(folder))


def said(folder, path, most=100):
    try:
        return read_below(folder, path, most)
    except (MissingWork, UnreadableWork) as error:
        return str(error)


def test_what_must_not_be_followed_is_refused_there_in_the_same_words(tmp_path):
    here = strange(tmp_path / "here")
    there = tmp_path / "there"
    there.mkdir()
    arrived = parcel.unpack_submission(parcel.pack_submission(here, {"work": b"a run"}), there)
    one, other = tmp_path / "here", there / "submission"
    for path in ("work.ipynb", "sub/data.csv", "link", "away/passwd", "empty", "one", "two", "pipe", "sub", "none"):
        assert said(other, path) == said(one, path)
    assert plain_files(other, 10**6) == plain_files(one, 10**6)
    assert (arrived.student, arrived.folder) == ("ada", str(other))


def test_a_kept_run_travels_beside_its_submission_to_where_the_plan_looks_for_it(tmp_path):
    here = strange(tmp_path / "here")
    plan = grading.Plan(
        assignment=Assignment(name="a", title="A", notebook="work.ipynb"), notebooks={}, cells={}, files={}
    )
    arrived = parcel.unpack_submission(parcel.pack_submission(here, {"work": b"a run"}), tmp_path)
    kept = Path(parcel.with_runs(msgspec.structs.replace(plan, kept="kept"), tmp_path).kept)
    file = shelf.run_file(kept / arrived.student, "work")
    assert file.read_bytes() == b"a run"
    assert file.stat().st_mode & 0o077 == 0
    assert Path(arrived.folder) not in file.parents
    assert parcel.with_runs(plan, tmp_path).kept == ""


def test_what_is_too_much_to_send_is_too_much_there_too(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "_MOST_BYTES", 1000)
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "a.ipynb").write_text("{}")
    (folder / "huge.bin").write_bytes(b"x" * 5000)
    data = parcel.pack_submission(Submission(student="ada", assignment="a", folder=str(folder)), {})
    assert len(data) < 1000
    parcel.unpack_submission(data, tmp_path)
    assert said(tmp_path / "submission", "huge.bin") == said(folder, "huge.bin")
    assert "5,000 bytes" in said(folder, "huge.bin")


def test_a_path_that_leads_out_is_not_written(tmp_path):

    data = msgspec.msgpack.encode(
        {"student": "a", "assignment": "a", "submitted_at": "", "files": {"../out": b""}, "runs": {}, "strange": {}}
    )
    with pytest.raises(ValueError, match=r"\.\./out"):
        parcel.unpack_submission(data, tmp_path)


ADA = Submission(student="ada", assignment="a", folder="")


def test_the_score_of_another_submission_is_not_taken_for_what_was_asked():
    graded = grading.Graded(score=Score(assignment="a", student="bob", status="scored", earned=1.0, possible=1.0))
    with pytest.raises(ValueError, match="the score of another submission"):
        parcel.unpack_graded(parcel.pack_graded(graded), ADA)


def test_a_score_comes_back_as_it_was_and_a_hostile_notebook_with_it():
    at = datetime.fromisoformat("2027-02-12T23:59:00-05:00")
    score = Score(assignment="a", student="ada", status="scored", earned=1.1, possible=3.0)
    nb = {"cells": [], "metadata": {"huge": 10**40, "half": "\ud800", "nan": float("inf")}}
    graded = grading.Graded(
        score=score,
        executed={"a": nb},
        submitted_at=at,
        log="half \ud800",
        notes=("Late.",),
        runs={"a": b"\xff"},
        ran=True,
    )
    back, notices = parcel.unpack_graded(parcel.pack_graded(graded, ["It is slow."]), ADA)
    assert back.score == score
    assert back.executed == {"a": nb}
    assert back.submitted_at.isoformat() == at.isoformat()
    assert back.log == "half ?"
    assert (back.notes, back.runs, back.ran) == (("Late.",), {"a": b"\xff"}, True)
    assert notices == ("It is slow.",)
