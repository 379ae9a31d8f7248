"""How far a class is, as a person at a terminal or a log is told."""

import io

import pytest
from rich.console import Console

from coursekit.cli.progress import Tally, Telling, kind
from coursekit.records import Score


def score(student, earned=5.0):
    status = "unscored" if earned == "unscored" else "scored"
    return Score(assignment="a", student=student, status=status, earned=earned, possible=5.0)


@pytest.mark.parametrize(("earned", "word"), [(5.0, "full"), (6.0, "full"), (1.0, "partial"), (0.0, "zero")])
def test_points_come_to_a_word(earned, word):
    assert kind(score("ada", earned)) == word


def told(tally, *events):
    for student, result, now in events:
        tally.tell(student, result, now)
    return tally


def test_the_counts_say_done_running_waiting_and_what_came_of_it():
    tally = told(
        Tally(6),
        ("ada", None, 0.0),
        ("ben", None, 0.0),
        ("cyd", None, 1.0),
        ("ada", score("ada"), 2.0),
        ("ben", score("ben", "unscored"), 3.0),
    )
    assert tally.counts() == "2 of 6 done · 1 running · 3 waiting · 1 full, 1 no score"
    assert list(tally.running) == ["cyd"]


def test_one_that_begins_anew_on_another_worker_runs_once():
    tally = told(Tally(2), ("ada", None, 0.0), ("ada", None, 5.0), ("ada", score("ada"), 6.0))
    assert tally.counts() == "1 of 2 done · 0 running · 1 waiting · 1 full"


def test_one_that_was_never_begun_can_be_done():
    tally = told(Tally(1), ("ada", score("ada", "unscored"), 1.0))
    assert tally.counts() == "1 of 1 done · 0 running · 0 waiting · 1 no score"


@pytest.mark.parametrize(
    ("total", "at", "left"),
    [(2, 4.0, "about 4 s left"), (100, 4.0, "about 7 min left"), (5000, 4.0, "about 5.6 h left")],
)
def test_the_time_left_is_what_the_rest_takes_at_the_same_pace(total, at, left):
    tally = told(Tally(total), ("ada", None, 0.0), ("ada", score("ada"), 4.0))
    assert tally.left(at) == left


def test_what_was_kept_is_done_at_once_and_says_nothing_about_the_pace():
    tally = told(Tally(6), *((f"kept{number}", score(f"kept{number}"), 0.0) for number in range(4)))
    assert tally.counts() == "4 of 6 done · 0 running · 2 waiting · 4 full"
    assert tally.left(9.0) == ""
    told(tally, ("ada", None, 10.0), ("ada", score("ada"), 30.0))
    assert tally.left(30.0) == "about 20 s left"


def test_no_time_is_promised_before_anything_is_done_or_after_all_is():
    tally = told(Tally(1), ("ada", None, 0.0))
    assert tally.left(9.0) == ""
    assert told(tally, ("ada", score("ada"), 9.0)).left(9.0) == ""


def telling(total, *, terminal=False):
    return Telling("Grading a", total, Console(file=io.StringIO(), force_terminal=terminal, width=100))


def test_a_log_of_a_large_class_has_a_line_now_and_then_and_one_for_whoever_has_no_score(capsys):
    tell = telling(200)
    for number in range(200):
        tell(f"s{number}", None)
        tell(f"s{number}", score(f"s{number}", "unscored" if number == 104 else 5.0))
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert said.out == ""
    assert len(lines) == 21
    assert lines[-1] == "Grading a: s199 5 of 5 (200 of 200 done · 0 running · 0 waiting · 199 full, 1 no score)"
    assert [line for line in lines if "s104 has no score" in line]


def test_a_small_class_has_a_line_each(capsys):
    tell = telling(3)
    for student in ("ada", "ben", "cyd"):
        tell(student, None)
        tell(student, score(student))
    assert [line.split()[2] for line in capsys.readouterr().err.splitlines()] == ["ada", "ben", "cyd"]


def test_a_terminal_shows_the_bar_the_counts_and_who_runs():
    tell = telling(3, terminal=True)
    tell("ada", None)
    tell("ben\x1b[2J", None)
    tell("ada", score("ada", 2.0))
    console = Console(file=io.StringIO(), width=100)
    console.print(tell)
    shown = console.file.getvalue()
    assert "Grading a" in shown
    assert "1 of 3 done · 1 running · 1 waiting · 1 partial" in shown
    assert "ben" in shown
    assert "\x1b[2J" not in shown
