"""Scores go into the gradebook several at a time, soon, each once, and none at the cost of another."""

from contextlib import contextmanager

import pytest
from sqlalchemy import event, text

import courses
from coursekit import gradebook, planning
from coursekit.errors import CourseError, GradebookError
from coursekit.gradebook import batches as room
from coursekit.records import Check, Score

pytestmark = pytest.mark.box


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return courses.released(courses.make(tmp_path_factory.mktemp("batches")), "doubling")


@pytest.fixture
def settings(released, tmp_path):
    return planning.facts(courses.copy(released, tmp_path))[1]


def score(student, earned=2.0, assignment="doubling"):
    checks = (Check(id="five", sentence="", outcome="passed", points=2.0, earned=earned),)
    return Score(assignment=assignment, student=student, status="scored", earned=earned, possible=5.0, checks=checks)


def entry(settings, student, **facts):
    return gradebook.Entry(score(student, **facts), gradebook.cells(settings, "doubling"), {}, None)


@contextmanager
def opened(settings):
    """A gradebook, its batches, who was refused, and what was committed."""
    refused, commits = [], []
    with gradebook.Gradebook(settings) as book:

        @event.listens_for(book._book.engine, "commit")
        def _(connection):
            commits.append(connection)

        batches = gradebook.Batches(book, lambda _: None, lambda score, error: refused.append((score.student, error)))
        yield book, batches, refused, commits


def points(book):
    return {student: total.points for student, total in book.totals("doubling").items()}


def test_fifty_scores_are_one_transaction(settings, monkeypatch):
    monkeypatch.setattr(room.time, "monotonic", lambda: 100.0)
    with opened(settings) as (book, batches, refused, commits):
        for number in range(room.MOST):
            batches.add(entry(settings, f"s{number}"))
        assert len(commits) == 1
        assert points(book) == {f"s{number}": 2.0 for number in range(room.MOST)}
        assert refused == []


def test_a_few_scores_wait_for_others_and_a_second_at_most(settings, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
    with opened(settings) as (book, batches, _, commits):
        batches.add(entry(settings, "ada"))
        now[0] = 100.5
        batches.add(entry(settings, "ben"))
        batches.turn()
        assert commits == []
        now[0] = 101.0
        batches.turn()
        assert len(commits) == 1
        batches.turn()
        assert len(commits) == 1
        assert points(book) == {"ada": 2.0, "ben": 2.0}


def test_a_score_without_a_place_in_the_gradebook_costs_the_others_nothing(settings):
    with opened(settings) as (book, batches, refused, _):
        batches.add(entry(settings, "ada"))
        batches.add(entry(settings, "ben", assignment="nowhere"))
        batches.add(entry(settings, "cyd"))
        batches.flush()
        assert points(book) == {"ada": 2.0, "cyd": 2.0}
    assert [(student, type(error)) for student, error in refused] == [("ben", CourseError)]


def test_who_keeps_account_is_told_of_what_another_reader_of_the_database_sees(settings):
    told, seen = [], []
    with gradebook.Gradebook(settings) as book, gradebook.Gradebook(settings) as other:

        def written(scores):
            told.append([score.student for score in scores])
            seen.append(sorted(points(other)))

        batches = gradebook.Batches(book, written, lambda *_: None)
        batches.add(entry(settings, "ada"))
        batches.add(entry(settings, "ben"))
        assert told == []
        batches.flush()
        batches.add(entry(settings, "cyd"))
        batches.add(entry(settings, "dot", assignment="nowhere"))
        batches.flush()
    assert told == [["ada", "ben"], ["cyd"]]
    assert seen == [["ada", "ben"], ["ada", "ben", "cyd"]]


def test_a_score_that_comes_twice_counts_once_as_it_came_last(settings):
    with opened(settings) as (book, batches, _, _):
        batches.add(entry(settings, "ada", earned=2.0))
        batches.add(entry(settings, "ada", earned=1.0))
        batches.flush()
        assert points(book) == {"ada": 1.0}


def test_the_gradebook_works_as_before_after_a_batch(settings):
    with opened(settings) as (book, batches, _, commits):
        batches.add(entry(settings, "ada"))
        batches.flush()
        commits.clear()
        book.record(*entry(settings, "ben"))
        assert commits
    with gradebook.Gradebook(settings) as book:
        assert points(book) == {"ada": 2.0, "ben": 2.0}


def test_a_database_that_refuses_to_be_written_is_said_and_holds_nothing_of_the_batch(settings):
    with opened(settings) as (book, batches, _, _):
        batches.add(entry(settings, "ada"))
        book._book.db.execute(text("DROP TABLE grade"))
        book._book.db.commit()
        with pytest.raises(GradebookError):
            batches.flush()
