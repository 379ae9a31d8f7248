"""Where submissions are graded here: beside each other unless one is timed, and warm, or it is said why not."""

import threading
from types import SimpleNamespace

import msgspec
import pytest

import courses
from coursekit import course, dispatch, planning, profiles
from coursekit.pool import Unwanted, lane
from coursekit.records import Band, Target
from coursekit.warming import Warm

NAME = "doubling"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = courses.released(courses.make(tmp_path_factory.mktemp("dispatch")), NAME)
    courses.submit(root, "ada")
    return root


@pytest.fixture
def plan(root):
    return planning.plan(root, planning.facts(root)[1], NAME, "bwrap")


@pytest.fixture
def timed(plan, tmp_path):
    """The plan with a target on a board whose models are timed on the grader's machine."""
    text = profiles.path("nano33-ble-sense").read_text()
    text = text.replace("name: nano33-ble-sense", "name: timed").replace(
        "engines:\n", "engines:\n  latency_ratio: host\n"
    )
    timing = "timing:\n  seconds: 0.1\n  repeats: 3\n  spread: 1.0\n"
    text = text.replace("sources:\n", f"{timing}sources:\n  timing: made up for this test, 2026-11-24\n")
    (tmp_path / "timed.yaml").write_text(text)
    return with_target(plan, "timed", tmp_path)


def with_target(plan, profile, *folders):
    band = Band(pass_=2.0, full=1.0)
    target = Target(id="latency", metric="latency_ratio", points=1.0, at_most=band, profile=profile)
    spec = msgspec.structs.replace(plan.assignment, targets=(target,))
    return msgspec.structs.replace(plan, assignment=spec, profiles=tuple(map(str, folders)))


class GivesUp(threading.Event):
    """A stop that is set as soon as somebody had to wait."""

    def wait(self, timeout=None):
        self.set()


def another_could_run():
    """Whether a job that is not timed, of another grader on this machine, would have to wait."""
    try:
        with lane(GivesUp(), exclusive=False):
            return True
    except Unwanted:
        return False


def graded(plan, root):
    """Grade one; the result, and whether others could run meanwhile."""
    beside = []
    with dispatch.place(plan, 2, "", lambda _: beside.append(another_could_run())) as place:
        (submission,) = course.submissions(root / "submitted", NAME)
        return place.submit(submission).result(120), beside


@pytest.fixture(autouse=True)
def lanes(tmp_path, monkeypatch):
    """Lanes of this test alone."""
    monkeypatch.setattr("coursekit.pool.lanes._EVERYWHERE", str(tmp_path / "lane"))


@pytest.mark.box
def test_an_assignment_is_timed_if_a_target_is_on_a_board_that_is_timed(plan, timed):
    assert planning.is_timed(timed)
    assert not planning.is_timed(plan)
    assert not planning.is_timed(with_target(plan, "nano33-ble-sense"))


@pytest.mark.box
def test_no_other_submission_runs_while_one_is_timed(timed, root):
    _, beside = graded(timed, root)
    assert beside == [False]
    assert another_could_run()


@pytest.mark.box
def test_submissions_that_nobody_times_run_beside_each_other(plan, root):
    done, beside = graded(plan, root)
    assert beside == [True]
    assert done.score.status == "scored"


# --- What is not warm -------------------------------------------------------------------------------------------------


def test_who_grades_is_told_what_starts_cold_and_why():
    kernels = SimpleNamespace(cold="the warm interpreter died 3 times", missing=())
    programs = SimpleNamespace(cold="", missing=("torch: ImportError",))
    checks = SimpleNamespace(cold="", missing=("torch: ImportError",))
    warm = Warm(None, {"Notebooks": kernels, "Programs that open models": programs, "Examinations": checks})
    assert warm.notices() == (
        "Notebooks start cold, which is slower and changes no score: the warm interpreter died 3 times.",
        "'torch' could not be imported ahead of time (ImportError), so each submission that needs it does that itself.",
    )


@pytest.mark.box
def test_grade_says_once_what_could_not_be_imported_ahead(root, tmp_path):
    own = courses.copy(root, tmp_path)
    with (own / "assignments" / NAME / "assignment.yaml").open("a") as file:
        file.write("preload: [numpy, no_such_module]\n")
    courses.submit(own, "ben")
    said = []
    scores = courses.grade(own, notice=said.append)
    assert [sentence.split(" (")[0] for sentence in said] == ["'no_such_module' could not be imported ahead of time"]
    assert {score.earned for score in scores.values()} == {5.0}
