"""The scoring room: bands never fall as the work gets better, and what broke is never a zero."""

import math
import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from coursekit import scoring
from coursekit.figures import duration, figure, memory, points
from coursekit.records import Assignment, Band, Check, Late, Measurement, Target, Waiting

DUE = datetime(2027, 2, 12, 23, 59, tzinfo=timezone(timedelta(hours=-5)))
LATE = Late(percent_per_day=10, days=3)


def at_most(pass_, full, points=10.0, **rest):
    return Target(id="size", metric="file_bytes", points=points, at_most=Band(pass_=pass_, full=full), **rest)


def at_least(pass_, full, points=10.0, **rest):
    return Target(id="acc", metric="accuracy", points=points, at_least=Band(pass_=pass_, full=full), **rest)


def measured(value, metric="file_bytes"):
    return Measurement(metric=metric, value=value, unit="bytes", engine="flatbuffer")


def check(name="a", outcome="passed", points=3.0, earned=3.0):
    return Check(id=name, sentence="It works.", outcome=outcome, points=points, earned=earned)


# --- Bands -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "earned"),
    [(0, 10), (35_000, 10), (35_001, 10), (42_500, 8), (50_000, 6), (50_001, 0), (math.inf, 0), (-math.inf, 10)],
)
def test_at_most_pays_60_percent_at_pass_and_all_at_full(value, earned):
    assert scoring.band_points(value, at_most(50_000, 35_000)) == earned


@pytest.mark.parametrize(("value", "earned"), [(0.9299, 0), (0.93, 7.2), (0.945, 9.6), (0.96, 12), (1, 12)])
def test_at_least_pays_60_percent_at_pass_and_all_at_full(value, earned):
    assert scoring.band_points(value, at_least(0.93, 0.96, points=12)) == earned


def test_one_mark_for_both_pays_all_or_nothing():
    assert scoring.band_points(8, at_most(8, 8)) == 10
    assert scoring.band_points(8.01, at_most(8, 8)) == 0
    assert scoring.band_points(8, at_least(8, 8)) == 10
    assert scoring.band_points(7.99, at_least(8, 8)) == 0


def test_better_work_never_earns_less_whatever_the_band():
    chance = random.Random(60)
    for _ in range(300):
        low, high = sorted(chance.choice([chance.uniform(-9, 9), chance.randint(0, 10**9)]) for _ in range(2))
        worth = chance.choice([0.5, 1, 3.333, 10, chance.uniform(0.1, 100)])
        values = sorted([low, high, *(chance.uniform(low - 1, high + 1) for _ in range(30))])
        up = [scoring.band_points(value, at_least(low, high, worth)) for value in values]
        down = [scoring.band_points(value, at_most(high, low, worth)) for value in values]
        assert up == sorted(up)
        assert down == sorted(down, reverse=True)
        assert max(up) == max(down) == worth
        for earned in up + down:
            assert earned in {0, worth} or (earned == round(earned, 2) and 0.6 * worth - 0.005 <= earned <= worth)


def test_both_directions_are_mirrors_of_each_other():
    for value in range(-20, 21):
        assert scoring.band_points(value, at_least(-5, 5)) == scoring.band_points(-value, at_most(5, -5))


# --- Judging ---------------------------------------------------------------------------------------------------------


def test_a_figure_between_its_marks_has_passed_and_says_how_far_it_is_from_full():
    judged = scoring.judge(at_most(50_000, 35_000, hint="Try int8 weights."), measured(45_120), hidden=False)
    assert (judged.outcome, judged.earned, judged.points, judged.hidden) == ("passed", 7.3, 10, False)
    assert judged.hint == ("file_bytes is 45,120; at most 50,000 earns 60 %, 35,000 earns all. Try int8 weights.")
    assert judged.measurement == measured(45_120)


def test_a_figure_at_full_marks_needs_no_hint():
    judged = scoring.judge(at_most(50_000, 35_000, hint="Try int8 weights."), measured(20_000), hidden=True)
    assert (judged.outcome, judged.earned, judged.hint) == ("passed", 10, "")


def test_a_figure_below_pass_has_failed():
    judged = scoring.judge(at_least(0.93, 0.93), measured(0.5, "accuracy"), hidden=True)
    assert (judged.outcome, judged.earned) == ("failed", 0)
    assert judged.hint == "accuracy is 0.5; at least 0.93 earns all."


def test_a_figure_just_past_its_mark_is_shown_with_the_digits_that_matter():
    judged = scoring.judge(at_least(0.93, 0.96), measured(0.9299999, "accuracy"), hidden=True)
    assert judged.hint.startswith("accuracy is 0.9299999; at least 0.93 earns 60 %")


@pytest.mark.parametrize("value", [math.nan, math.inf, "int8"])
def test_a_figure_that_is_no_number_is_the_graders_fault(value):
    judged = scoring.judge(at_most(2, 1), measured(value), hidden=True)
    assert (judged.outcome, judged.earned) == ("broken", "unscored")
    assert "cannot be compared" in judged.hint


def test_a_target_speaks_for_itself_unless_it_has_a_title():
    assert scoring.sentence(at_most(50_000, 35_000)) == "file_bytes is at most 50,000; 35,000 earns all points."
    assert scoring.sentence(at_least(0.9, 0.9, profile="nano33")) == "accuracy on nano33 is at least 0.9."
    assert scoring.sentence(at_most(2, 1, title="The file is small.")) == "The file is small."


# --- Scores ----------------------------------------------------------------------------------------------------------

QUANTIZE = Assignment(name="quantize", title="Quantize", notebook="quantize.ipynb")


def test_a_score_sums_its_checks_and_lists_what_waits_beside_them():
    checks = [check("a", earned=0.1), check("b", earned=0.2), check("c", "blocked", earned=0.0)]
    score = scoring.score(QUANTIZE, "ada", checks, waiting=[Waiting(id="why", points=5)], withheld=2, notes=["Mended."])
    assert (score.status, score.earned, score.possible, score.reason) == ("scored", 0.3, 9, "")
    assert (score.assignment, score.title, score.student) == ("quantize", "Quantize", "ada")
    assert (score.waiting[0].points, score.withheld, score.notes) == (5, 2, ("Mended.",))


def target(name, *needs, outcome="passed"):
    """A target that measured well, and needs these."""
    made = Target(id=name, metric="file_bytes", points=3.0, at_most=Band(pass_=2, full=1), needs=needs)
    earned = {"passed": 3.0, "broken": "unscored"}.get(outcome, 0.0)
    return Check(id=name, sentence="", outcome=outcome, points=3.0, earned=earned, hint="Said.", target=made)


def outcomes(*checks):
    return {each.id: each.outcome for each in scoring.score(QUANTIZE, "ada", checks).checks}


def test_a_target_whose_needs_passed_counts():
    score = scoring.score(QUANTIZE, "ada", [target("size", "a", "acc"), check("a"), target("acc")])
    assert (score.earned, score.checks[0]) == (9.0, target("size", "a", "acc"))


@pytest.mark.parametrize("outcome", ["failed", "blocked"])
def test_a_target_earns_nothing_without_what_it_needs_and_says_so(outcome):
    score = scoring.score(QUANTIZE, "ada", [target("size", "a", "acc"), check("a"), target("acc", outcome=outcome)])
    assert (score.earned, score.possible) == (3.0, 9.0)
    assert (score.checks[0].outcome, score.checks[0].earned) == ("blocked", 0.0)
    assert score.checks[0].hint == "It counts only once 'acc' has passed."


def test_what_needs_a_target_that_lacks_its_own_needs_falls_too_in_whatever_order_they_stand():
    chain = [target("size", "arena"), target("arena", "acc"), target("acc", "a"), check("a", "failed", earned=0.0)]
    expected = {"size": "blocked", "arena": "blocked", "acc": "blocked", "a": "failed"}
    assert outcomes(*chain) == expected
    assert outcomes(*reversed(chain)) == expected


def test_targets_that_need_each_other_stand_and_fall_together():
    assert outcomes(target("size", "acc"), target("acc", "size")) == {"size": "passed", "acc": "passed"}
    fallen = outcomes(target("size", "acc"), target("acc", "size", "a"), check("a", "failed", earned=0.0))
    assert fallen == {"size": "blocked", "acc": "blocked", "a": "failed"}


def test_a_need_that_was_not_asked_here_is_none():
    assert outcomes(target("size", "hidden")) == {"size": "passed"}


def test_what_failed_by_itself_keeps_its_own_word_and_hint():
    score = scoring.score(QUANTIZE, "ada", [target("size", "a", outcome="failed"), check("a", "failed", earned=0.0)])
    assert (score.checks[0].outcome, score.checks[0].hint) == ("failed", "Said.")


def test_a_need_that_broke_leaves_no_score_and_no_zero():
    score = scoring.score(QUANTIZE, "ada", [target("size", "acc"), target("acc", outcome="broken")])
    assert (score.status, score.earned) == ("unscored", "unscored")
    assert score.reason.startswith("The check 'acc' broke")


def test_a_broken_check_leaves_the_submission_unscored_and_says_whose_move_it_is():
    score = scoring.score(QUANTIZE, "ada", [check("a"), check("b", "broken", earned="unscored")])
    assert (score.status, score.earned, score.possible) == ("unscored", "unscored", 6)
    assert score.reason == "The check 'b' broke, which says nothing about the work. The instructor has to mend this."


def test_many_broken_checks_are_counted():
    score = scoring.score(QUANTIZE, "ada", [check(str(n), "broken", earned="unscored") for n in range(7)])
    assert score.reason.startswith("The checks '0', '1', '2', '3', '4' and 2 more broke")


def test_a_broken_machine_leaves_the_submission_unscored_whatever_its_checks_say():
    score = scoring.score(QUANTIZE, "ada", [check("a")], broken="the box did not start.")
    assert (score.status, score.earned) == ("unscored", "unscored")
    assert score.reason == (
        "The grading machine could not do its work: the box did not start. The instructor has to mend this."
    )


def test_work_that_earns_nothing_has_a_score():
    assert scoring.score(QUANTIZE, "ada", [check("a", "failed", earned=0.0)]).earned == 0


# --- Lateness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "days", "penalty"),
    [
        (timedelta(days=-1), 0, 0),
        (timedelta(0), 0, 0),
        (timedelta(seconds=1), 1, 5.01),
        (timedelta(days=1), 1, 5.01),
        (timedelta(days=1, microseconds=1), 2, 10.02),
        (timedelta(days=3), 3, 15.03),
        (timedelta(days=3, seconds=1), 4, 50.1),
        (timedelta(days=400), 400, 50.1),
    ],
)
def test_days_begun_count_and_past_the_last_nothing_is_accepted(after, days, penalty):
    grade = scoring.lateness(DUE, DUE + after, LATE, 50.1)
    assert (grade.days_late, grade.penalty, grade.earned) == (days, penalty, round(50.1 - penalty, 6))


def test_an_extension_takes_the_place_of_the_due_time():
    until = DUE + timedelta(days=2)
    grade = scoring.lateness(DUE, until, LATE, 50.0, extension=until)
    assert (grade.days_late, grade.penalty, grade.extended, grade.due) == (0, 0, True, until)


def test_work_without_a_known_time_is_not_late():
    grade = scoring.lateness(DUE, None, LATE, 50.0)
    assert (grade.days_late, grade.penalty, grade.earned, grade.submitted_at) == (0, 0, 50, None)


def test_without_a_policy_lateness_is_stated_and_costs_nothing():
    grade = scoring.lateness(DUE, DUE + timedelta(days=9), None, 50.0)
    assert (grade.days_late, grade.penalty, grade.earned) == (9, 0, 50)


def test_without_a_due_time_nothing_is_late():
    assert scoring.lateness(None, DUE, LATE, 50.0).days_late == 0


def test_what_is_unscored_stays_unscored_however_late():
    grade = scoring.lateness(DUE, DUE + timedelta(days=9), LATE, "unscored")
    assert (grade.days_late, grade.penalty, grade.earned) == (9, "unscored", "unscored")


def test_times_in_other_zones_and_nbgraders_bare_utc_are_compared_as_moments():
    assert scoring.lateness(DUE, DUE.astimezone(UTC), LATE, 1.0).days_late == 0
    bare = DUE.astimezone(UTC).replace(tzinfo=None)
    assert scoring.lateness(DUE, bare, LATE, 1.0).days_late == 0
    assert scoring.lateness(DUE, bare + timedelta(seconds=1), LATE, 1.0).days_late == 1


def test_a_penalty_never_exceeds_the_points_nor_turns_into_a_gift():
    harsh = Late(percent_per_day=100, days=5)
    assert scoring.lateness(DUE, DUE + timedelta(days=4), harsh, 50.0).earned == 0
    assert scoring.lateness(DUE, DUE + timedelta(days=4), harsh, -2.0).penalty == 0


# --- Figures ---------------------------------------------------------------------------------------------------------


def test_numbers_are_written_as_people_write_them():
    assert [figure(value) for value in (45_120, 0.93611, 12_345.678, 0.0001234, 10**18)] == [
        "45,120",
        "0.9361",
        "12,345.7",
        "0.0001234",
        "1e+18",
    ]
    assert [points(value) for value in (3.0, 7.25, 1_200.0, "unscored", 0.0, -0.5)] == [
        "3",
        "7.25",
        "1,200",
        "unscored",
        "0",
        "-0.5",
    ]
    assert [memory(value) for value in (12, 45_120, 812_000_000, 4_000_000_000)] == [
        "12 bytes",
        "45.1 kB",
        "812 MB",
        "4.00 GB",
    ]
    assert [duration(value) for value in (0.04, 12.34, 59.97, 300)] == ["0.0 s", "12.3 s", "1 min 0 s", "5 min 0 s"]
