"""A plain nbgrader course: its notebooks run, nobody asks a question, and its own late policy has the last word."""

import json
from datetime import UTC, datetime, timedelta

import _pytest.config
import pytest
from nbgrader.api import Gradebook as TheirGradebook

import courses
import forgeries
import struck
from coursekit import gradebook, keeping, reporting

pytestmark = pytest.mark.box

NAME = forgeries.NAME
FULL = 10.0
DUE = datetime(2027, 2, 12, 23, 59, tzinfo=UTC)
TIMES = {"late": DUE + timedelta(hours=30), "on_time": DUE - timedelta(hours=1)}
HALF = """
from nbgrader.plugins import BasePlugin
class HalfPlugin(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return score / 2
"""


def course(root, policy=HALF):
    """One that is due, with a late policy of its own, and two who handed in."""
    forgeries.make(root)
    (root / "half.py").write_text(policy)
    with (root / "nbgrader_config.py").open("a") as config:
        config.write("c.AssignLatePenalties.plugin_class = 'half.HalfPlugin'\n")
    settings = gradebook.settings(root)
    gradebook.release(settings, NAME, due=DUE)
    for student, time in TIMES.items():
        forgeries.submit(root, student, forgeries.RIGHT)
        (root / "submitted" / student / NAME / "timestamp.txt").write_text(f"{time:%Y-%m-%d %H:%M:%S} UTC")
    return root


@pytest.fixture
def root(tmp_path):
    return course(tmp_path / "course")


def penalties(root):
    with gradebook.Gradebook(gradebook.settings(root)) as book:
        return {student: total.penalty for student, total in book.totals(NAME).items()}


def test_its_late_policy_is_asked_about_who_is_late_and_its_answer_is_in_the_score_and_the_gradebook(root):
    shown = {}
    scores = courses.grade(root, name=NAME, progress=lambda student, score: shown.update({student: score}))
    assert {student: score.earned for student, score in scores.items()} == dict.fromkeys(TIMES, FULL)
    assert {student: score.grade.earned for student, score in scores.items()} == {"late": FULL / 2, "on_time": FULL}
    assert penalties(root) == {"late": FULL / 2, "on_time": 0.0}
    assert set(shown) == set(TIMES)
    assert {student: keeping.course.score(root, student, NAME) for student in TIMES} == scores
    reporting.report(root, NAME)  # which refuses a score that is not the one that was sealed


def test_a_class_that_was_graded_is_left_as_it_is(root):
    before = courses.grade(root, name=NAME)
    done = []
    assert courses.grade(root, name=NAME, explain=done.extend) == before
    assert {each.student: each.action for each in done} == dict.fromkeys(TIMES, "keep")


def test_an_extension_that_was_granted_since_takes_the_penalty_back(root):
    courses.grade(root, name=NAME)
    with TheirGradebook(gradebook.settings(root).db_url) as book:
        book.grant_extension(NAME, "late", days=2)
    scores = courses.grade(root, name=NAME, force=True)
    assert scores["late"].grade.earned == FULL
    assert penalties(root) == dict.fromkeys(TIMES, 0.0)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (HALF.replace("return score / 2", "raise ValueError('no such day')"), "ValueError: no such day"),
        ("raise OSError('no such calendar')", "OSError: no such calendar"),
        (HALF.replace("return score / 2", "return 'half'"), "TypeError: '<' not supported"),
    ],
)
def test_a_late_policy_that_breaks_costs_nobody_else_their_score(tmp_path, policy, said):
    root = course(tmp_path / "course", policy)
    done = struck.ran(tmp_path, "grade", NAME, "--course", str(root))
    assert done.code == 0, done.err
    assert struck.score(root, "on_time", NAME).grade.earned == FULL
    late = struck.score(root, "late", NAME)
    assert (late.status, late.earned) == ("unscored", "unscored")
    assert late.reason.startswith(f"It cannot be kept: the late policy broke: {said}")
    assert "The instructor has to mend this: correct the plugin" in late.reason
    (root / "half.py").write_text(HALF)
    assert courses.grade(root, name=NAME)["late"].grade.earned == FULL / 2


def test_its_submissions_are_examined_without_a_pytest(root, tmp_path):
    """There is none that could start."""
    hidden = struck.within("--ro-bind", "/dev/null", _pytest.config.__file__)
    done = struck.ran(tmp_path, "grade", NAME, "--course", str(root), before=hidden)
    assert done.code == 0, done.err
    assert {student: struck.score(root, student, NAME).earned for student in TIMES} == dict.fromkeys(TIMES, FULL)


def test_what_cannot_be_written_down_is_the_machine_s_fault(root, tmp_path):
    """The disk for temporary files has room for a box and its order, and none for what it found."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    nb = json.loads((root / "submitted" / "late" / NAME / f"{NAME}.ipynb").read_text())
    nb["cells"].insert(0, nb["cells"][0] | {"id": "loud", "source": "print('x' * 900_000)", "metadata": {}})
    (root / "submitted" / "late" / NAME / f"{NAME}.ipynb").write_text(json.dumps(nb))
    small = struck.within("--size", "600000", "--tmpfs", str(folder))
    done = struck.ran(tmp_path, "grade", NAME, "late", "--course", str(root), before=small)
    assert done.code == 0, done.err
    score = struck.score(root, "late", NAME)
    assert (score.status, score.earned) == ("unscored", "unscored")
    assert "could not be written" in score.reason
    assert score.reason.endswith("The instructor has to mend this.")
