"""Answers that would have the tests of a plain course believe them: each is graded, and waits for a person."""

import json
from types import SimpleNamespace

import nbformat
import pytest
from nbgrader.api import Gradebook as TheirGradebook

import courses
import forgeries
from coursekit import gradebook, reporting
from coursekit.report import terminal

pytestmark = pytest.mark.box

BY_THEMSELVES = {
    "calls sys.exit": "failed",
    "calls os._exit": "blocked",
    "writes the hidden tests to a file": "failed",
    "deletes the gradebook": "failed",
}
"""What is no forgery of a result: the cell fails, or ends the kernel, as it says."""

HABITS = {
    "no habit": "",
    "shadows": "sum = 3\nlen = [1]\nmax = None",
    "hooks": "get_ipython().events.register('post_run_cell', lambda result: print('done'))",
    "shows assignments": "get_ipython().ast_node_interactivity = 'last_expr_or_assign'",
    "plain tracebacks": "%xmode Plain",
    "short tracebacks": "%xmode Minimal\nimport sys\nsys.tracebacklimit = 0",
    "strict": "import warnings\nwarnings.simplefilter('error')\nnp.seterr(all='raise')",
    "quiet": "import io, sys\nsys.stdout = sys.stderr = io.StringIO()",
    "hides errors in the log": "import logging\nlogging.disable(logging.CRITICAL)",
    "a thread": "import threading\nthreading.Timer(600, print).start()",
    "a numpy of one's own name": "import numpy\nnumpy_ = numpy",
}
"""What honest notebooks do beside their answer."""
HONEST = {f"right, {habit}": f"{forgeries.RIGHT}\n{code}" for habit, code in HABITS.items()}
WRONG = {f"wrong, {habit}": f"{forgeries.WRONG}\n{code}" for habit, code in HABITS.items()}
WRONG |= {"raises": "def squares(n):\n    raise ValueError(n)", "nothing": ""}


def student(title):
    """A student id for what an answer does."""
    return "".join(char if char.isalnum() else "_" for char in title)


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    root = forgeries.make(tmp_path_factory.mktemp("forgeries"))
    gradebook.cells(gradebook.settings(root), forgeries.NAME)  # which releases it
    everyone = {**HONEST, **WRONG, **forgeries.FORGERIES, **forgeries.REMAIN}
    for title, answer in everyone.items():
        forgeries.submit(root, student(title), answer)
    scores = courses.grade(root, name=forgeries.NAME)
    reporting.report(root, forgeries.NAME)
    return SimpleNamespace(root=root, scores={title: scores[student(title)] for title in everyone})


def grade_of(root, title, cell):
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        grade = book.find_grade(cell, forgeries.NAME, forgeries.NAME, student(title))
        return grade.auto_score, grade.manual_score, grade.needs_manual_grade


# --- forgeries --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("title", forgeries.FORGERIES)
def test_a_forged_test_earns_nothing_and_the_cell_before_it_all(graded, title):
    score = graded.scores[title]
    assert score.status == "scored"
    assert {check.id: check.earned for check in score.checks} == {
        "mean_test": forgeries.POINTS,
        **dict.fromkeys(forgeries.TESTS, 0.0),
    }
    assert score.earned == forgeries.POINTS


@pytest.mark.parametrize("title", sorted(set(forgeries.FORGERIES) - set(BY_THEMSELVES)))
def test_a_forged_test_waits_for_a_person_with_the_reason(graded, title):
    score = graded.scores[title]
    assert score.waiting
    for cell in score.waiting:
        check = courses.by_id(score)[cell.id]
        assert check.outcome == "blocked"
        assert check.hint.startswith("A person will look at this before it earns points")
        assert cell.reason.endswith(".")
        assert grade_of(graded.root, title, cell.id) == (0.0, None, True)


@pytest.mark.parametrize(("title", "outcome"), BY_THEMSELVES.items())
def test_an_attack_that_forges_no_result_only_fails(graded, title, outcome):
    score = graded.scores[title]
    assert {courses.outcomes(score)[name] for name in forgeries.TESTS} == {outcome}
    assert score.waiting == ()


def test_hidden_tests_that_a_notebook_wrote_down_are_kept_and_shown_nowhere(graded):
    shown = [path for path in graded.root.rglob("*") if path.is_file() and ".kept" not in path.parts]
    assert not [path for path in shown if path.name == "hidden.txt"]
    who = student("writes the hidden tests to a file")
    pages = [path for path in shown if path.is_relative_to(graded.root / "feedback" / who)]
    assert pages
    assert not [path for path in pages if forgeries.HIDDEN in path.read_text(errors="replace")]


def test_the_gradebook_that_a_notebook_deleted_is_there_and_whole(graded):
    with gradebook.Gradebook(gradebook.settings(graded.root)) as book:
        assert len(book.totals(forgeries.NAME)) == len(graded.scores)


def test_who_grades_is_told_why_and_the_student_is_not(graded):
    score, who = graded.scores["all says yes"], student("all says yes")
    (cell,) = score.waiting
    assert cell.id == "truths"
    assert cell.reason == "'all', which the tests use, gave a wrong answer to a question just before it."
    pages = list((graded.root / "feedback" / who / forgeries.NAME).glob("*.html"))
    assert {page.name for page in pages} == {"score.html", f"{forgeries.NAME}.html"}
    assert "A person will look at this" in next(page for page in pages if page.name == "score.html").read_text()
    assert not [page for page in pages if "gave a wrong answer" in page.read_text()]
    kept = json.loads((graded.root / "scores" / who / forgeries.NAME / "score.json").read_text())
    assert kept["waiting"][0]["reason"] == cell.reason
    assert "truths waits for a person" in str(terminal._remark(score))


def test_whoever_marks_in_formgrader_sees_why_above_what_the_cell_gave(graded):
    """It shows this notebook."""
    file = graded.root / "autograded" / student("all says yes") / forgeries.NAME / f"{forgeries.NAME}.ipynb"
    found = nbformat.read(file, as_version=4).cells
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in found}
    (cell,) = graded.scores["all says yes"].waiting
    assert cells["truths"]["outputs"][0]["data"] == {"text/plain": f"This test waits for a person: {cell.reason}"}
    assert [name for name, each in cells.items() if "waits for a person" in json.dumps(each)] == ["truths"]


def test_a_notebook_cannot_say_that_to_whoever_marks_it(tmp_path):
    """What a cell says in our words is shown to its student like all that it says."""
    root = forgeries.make(tmp_path / "course")
    gradebook.cells(gradebook.settings(root), forgeries.NAME)  # which releases it
    said = "{'text/plain': 'This test waits for a person: not at all'}"
    publishes = (
        f"from IPython.display import display\ndisplay({said}, raw=True, metadata={{'coursekit': {{'waits': True}}}})"
    )
    forgeries.submit(root, "ada", f"{forgeries.RIGHT}\n{publishes}")
    courses.grade(root, name=forgeries.NAME)
    reporting.report(root, forgeries.NAME)
    page = (root / "feedback" / "ada" / forgeries.NAME / f"{forgeries.NAME}.html").read_text()
    assert page.count("This test waits for a person: not at all") == 2  # in the answer, and below it


def test_a_person_s_mark_counts_and_survives_grading_again(graded):
    title = "all says yes"
    with TheirGradebook(f"sqlite:///{graded.root}/gradebook.db") as book:
        grade = book.find_grade("truths", forgeries.NAME, forgeries.NAME, student(title))
        grade.manual_score, grade.needs_manual_grade = 1.5, False
        book.db.commit()
    courses.grade(graded.root, student(title), name=forgeries.NAME, force=True)
    assert grade_of(graded.root, title, "truths") == (0.0, 1.5, True)
    reporting.report(graded.root, forgeries.NAME)
    with gradebook.Gradebook(gradebook.settings(graded.root)) as book:
        assert book.totals(forgeries.NAME)[student(title)].points == forgeries.POINTS + 1.5
    table = (graded.root / "scores" / f"{forgeries.NAME}.csv").read_text()
    (line,) = [line for line in table.splitlines() if line.startswith(f"{student(title)},")]
    assert "waiting" not in line
    assert ",3.5,10," in line


def test_a_kept_run_keeps_its_doubts(graded):
    title, decisions = "empties cells with asserts", []
    before = graded.scores[title]
    (graded.root / "scores" / student(title) / forgeries.NAME / "score.json").unlink()
    again = courses.grade(graded.root, student(title), name=forgeries.NAME, explain=decisions.extend)
    assert [each.action for each in decisions] == ["check"]
    assert again[student(title)].waiting == before.waiting
    assert again[student(title)].earned == forgeries.POINTS


# --- what remains -----------------------------------------------------------------------------------------------------


def test_an_object_that_claims_equality_is_believed(graded):
    """It changes nothing that could be asked about: a check from outside compares what comes out."""
    score = graded.scores["an object that claims equality"]
    assert (score.earned, score.waiting) == (score.possible, ())


def test_code_that_knows_the_released_tests_by_heart_is_believed_but_for_what_is_hidden(graded):
    """It leaves alone all but the very statements that students were given."""
    checks = courses.by_id(graded.scores["drops the released tests by their syntax tree"])
    assert {name: checks[name].earned for name in forgeries.TESTS} == {
        "exact": 0.0,
        **dict.fromkeys(("close", "testing", "truths"), forgeries.POINTS),
    }


def test_code_that_was_written_against_these_very_questions_is_believed(graded):
    """It runs them as they are, and of each test only the line that says it is done."""
    score = graded.scores["was written against these very questions"]
    assert (score.earned, score.waiting) == (score.possible, ())


# --- honest work ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("title", HONEST)
def test_honest_work_earns_everything_and_waits_for_nobody(graded, title):
    score = graded.scores[title]
    assert (score.earned, score.waiting) == (score.possible, ())
    assert score.run.doubts == {}


@pytest.mark.parametrize("title", WRONG)
def test_wrong_work_fails_and_waits_for_nobody(graded, title):
    score = graded.scores[title]
    assert {courses.outcomes(score)[name] for name in forgeries.TESTS} == {"failed"}
    assert (score.earned, score.waiting) == (forgeries.POINTS, ())
    assert score.run.doubts == {}


def test_nothing_of_the_questions_stands_in_what_is_kept_or_shown(graded):
    for place in ("autograded", "feedback"):
        for path in (graded.root / place).rglob("*"):
            if path.is_file():
                assert "__globals__.pop" not in path.read_text(errors="replace")
