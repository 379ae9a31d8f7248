"""Giving results back: a page per student beside nbgrader's own, and one table for the class."""

import csv
from pathlib import Path

import pytest
from nbgrader.api import Gradebook as TheirGradebook

import courses
from coursekit import reporting
from coursekit.errors import CourseError

pytestmark = pytest.mark.box

NAME = "shrink"
FORMULA = '@SUM(A1), "&c."'
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return courses.released(courses.make_shrink(tmp_path_factory.mktemp("reporting")), NAME)


@pytest.fixture(scope="module")
def root(released, tmp_path_factory):
    """A class of four after grading, one hand-made mark and the report."""
    root = courses.copy(released, tmp_path_factory.mktemp("class"))
    courses.submit(root, "ada", name=NAME)
    courses.submit(root, FORMULA, name=NAME)
    courses.submit(root, "hostile", {"answer": f"raise ValueError({HOSTILE!r})", "why": HOSTILE}, name=NAME)
    courses.submit(root, "unreadable", name=NAME, data=b"nothing")
    courses.grade(root, name=NAME)
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        grade = book.find_grade("why", NAME, NAME, "ada")
        grade.manual_score, grade.needs_manual_grade = 4.5, False
        book.db.commit()
    reporting.report(root, NAME)
    return root


def page(root, student):
    return (root / "feedback" / student / NAME / "score.html").read_text()


def table(root):
    with (root / "scores" / f"{NAME}.csv").open(newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_every_student_has_a_page_with_each_check_its_sentence_and_each_figure(root):
    shown = page(root, "ada")
    for text in ("Shrink", "ada", "double(5) is 10.", "file_bytes", f"{len(courses.MODEL):,}", "2,000", "4,000"):
        assert text in shown


def test_the_page_lies_beside_nbgraders_feedback(root):
    names = {path.name for path in (root / "feedback" / "ada" / NAME).iterdir()}
    assert {"score.html", f"{NAME}.html"} <= names


def test_a_student_whose_notebook_could_not_be_read_has_a_page_that_says_so(root):
    assert "is not a notebook" in page(root, "unreadable")
    assert not (root / "feedback" / "unreadable" / NAME / f"{NAME}.html").exists()


def test_what_a_student_wrote_is_text_on_every_page(root):
    for file in (root / "feedback" / "hostile" / NAME).iterdir():
        assert HOSTILE not in file.read_text()
    assert "&lt;script&gt;" in page(root, "hostile")


def test_the_class_table_has_points_marks_and_the_grade_with_both(root):
    row = table(root)["ada"]
    assert (row["status"], row["earned"], row["possible"], row["why"], row["grade"]) == (
        *("scored", "16.5", "17"),
        *("4.5", "16.5"),
    )
    assert (row["five"], row["arrays"], row["size"], row["accuracy"]) == ("2", "3", "4", "3")


def test_the_class_table_has_everyone_and_no_formula(root):
    rows = table(root)
    assert set(rows) == {"ada", f"'{FORMULA}", "hostile", "unreadable"}
    assert rows[f"'{FORMULA}"]["status"] == "waiting"


def test_a_mark_is_shown_on_the_student_s_page(root):
    assert "A person marked this answer." in page(root, "ada")
    assert "A person marks this answer." in page(root, "hostile")


def test_lateness_costs_its_share_of_marks_too_and_the_gradebook_agrees(tmp_path):
    facts = "due: 2027-02-12T23:59:00Z\nlate: {percent_per_day: 10, days: 3}\n"
    root = courses.released(courses.make(tmp_path, facts=facts), "doubling")
    courses.submit(root, "ada", files={"timestamp.txt": "2027-02-13 10:00:00 UTC"})
    assert courses.grade(root)["ada"].grade.penalty == 0.5
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        marks = {"why": 4.0, "five": 1.0}
        for name, mark in marks.items():
            grade = book.find_grade(name, "doubling", "doubling", "ada")
            grade.manual_score, grade.needs_manual_grade = mark, False
        book.db.commit()
    reporting.report(root, "doubling")
    with (root / "scores" / "doubling.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["five"], row["arrays"], row["why"]) == ("1", "3", "4")
    assert (row["earned"], row["penalty"], row["grade"]) == ("8", "0.8", "7.2")
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        submission = book.find_submission("doubling", "ada")
        assert (submission.score, submission.late_submission_penalty) == (8.0, 0.8)


def test_reporting_again_replaces_and_keeps(root):
    before = {path: path.read_bytes() for path in (root / "feedback").rglob("score.html")}
    reported = reporting.report(root, NAME)
    assert {path: path.read_bytes() for path in (root / "feedback").rglob("score.html")} == before
    assert {Path(file) for file in reported.pages.values()} == set(before)


def test_what_was_not_graded_cannot_be_reported(released):
    with pytest.raises(CourseError, match="'shrink' has not been graded") as error:
        reporting.report(released, NAME)
    assert error.value.fix == "run coursekit grade shrink"
