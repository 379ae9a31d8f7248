"""The trusted pytest process: what it makes of checks that pass, fail, cannot be asked, or are broken themselves."""

import json
import re
import subprocess
import sys

import pytest

import courses
from coursekit import course
from coursekit.examination.asking import generator

pytestmark = pytest.mark.box

CHECKS = '''\
import subprocess

import numpy as np
import pytest

from coursekit.wire import Array


@pytest.mark.points(1, id="wants-seven")
def test_wants_seven(kernel):
    """double(3) is 7, or so this check believes.

    This paragraph is for whoever reads the check.
    """
    assert kernel.call("double", 3, returns=float) == 7, "Seven was wanted."


@pytest.mark.points(1, id="says-nothing")
def test_says_nothing(kernel, rng):
    """A plain assert, without a hint."""
    x = float(rng.uniform(1000, 2000))
    assert kernel.call("double", x, returns=float) == x


@pytest.mark.points(1, id="numpy-compares")
def test_numpy_compares(kernel, rng):
    """NumPy's own comparison, whose message is full of values."""
    x = rng.uniform(1000, 2000, size=4)
    np.testing.assert_allclose(kernel.call("double", x, returns=Array(shape=(4,))), x)


@pytest.mark.points(1, id="no-such-function")
def test_no_such_function(kernel):
    """triple(1) is 3."""
    assert kernel.call("triple", 1, returns=float) == 3


@pytest.mark.points(1, id="no-function")
def test_no_function(kernel):
    """seven is a function."""
    kernel.call("seven", returns=float)


@pytest.mark.points(1, id="raises")
def test_raises(kernel, rng):
    """refuse(x) gives x back."""
    kernel.call("refuse", rng.uniform(1000, 2000, size=4), returns=float)


@pytest.mark.points(1, id="of-another-shape")
def test_of_another_shape(kernel):
    """double gives as many values as it gets, in int8."""
    kernel.call("double", np.ones(3), returns=Array("int8", (4,)))


@pytest.mark.points(1, id="of-another-type")
def test_of_another_type(kernel):
    """double gives text."""
    kernel.call("double", 1, returns=str)


@pytest.mark.points(1, id="unsendable")
def test_unsendable(kernel):
    """anything() gives a number."""
    kernel.call("anything", returns=float)


@pytest.mark.points(1, id="source")
def test_source(submission):
    """The answer is written with 'return'."""
    assert "return" in submission.source("answer"), "Write 'return'."
    assert "### BEGIN SOLUTION" in submission.code
    assert submission.notebook["nbformat"] == 4
'''

POINTS = dict.fromkeys(re.findall(r'id="(.*)"', CHECKS), 1.0)

AGAIN = """\
import pytest


@pytest.mark.points(1, id="five")
def test_five():
    pass
"""

MORE = """\
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
seven = 7
def refuse(x):
    raise ValueError(f"what am I to do with {list(x)}?")
def anything():
    return object()
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The course with a hidden check for every outcome."""
    root = courses.make(
        tmp_path_factory.mktemp("plugin"), checks=POINTS, hidden={"test_outcomes.py": CHECKS, "test_doubling.py": ""}
    )
    nb = courses.reference(root, "doubling")
    nb["cells"] = [cell for cell in nb["cells"] if cell["id"] != "arrays"]
    (root / "assignments" / "doubling" / "doubling.ipynb").write_text(json.dumps(nb))
    return courses.released(root, "doubling")


@pytest.fixture(scope="module")
def scores(released, tmp_path_factory):
    root = courses.copy(released, tmp_path_factory.mktemp("class"))
    courses.submit(root, "ada", {"answer": MORE})
    courses.submit(root, "crashes", {"answer": "import nothing_of_this_name"})
    courses.submit(root, "dies", {"answer": "import os\nos._exit(3)"})
    courses.submit(root, "loops", {"answer": "while True:\n    pass"})
    return courses.grade(root)


@pytest.fixture(scope="module")
def ada(scores):
    return courses.by_id(scores["ada"])


# --- Passed and failed ------------------------------------------------------------------------------------------------


def test_a_check_that_holds_passes_with_the_first_paragraph_of_its_docstring(ada):
    five = ada["five"]
    assert (five.outcome, five.earned, five.hint, five.hidden) == ("passed", 2.0, "", False)
    assert five.sentence == "double(5) is 10."
    assert ada["source"].outcome == "passed"


def test_the_message_of_an_assert_is_the_hint(ada):
    wanted = ada["wants-seven"]
    assert (wanted.outcome, wanted.earned, wanted.hint) == ("failed", 0.0, "Seven was wanted.")
    assert wanted.sentence == "double(3) is 7, or so this check believes."
    assert wanted.hidden


def test_a_plain_assert_gives_no_hint_and_no_value(ada):
    assert (ada["says-nothing"].outcome, ada["says-nothing"].hint) == ("failed", "")


def test_what_a_library_says_about_hidden_values_is_no_hint(ada):
    assert (ada["numpy-compares"].outcome, ada["numpy-compares"].hint) == ("failed", "")


def test_a_function_that_is_missing_fails_its_check(ada):
    check = ada["no-such-function"]
    assert (check.outcome, check.hint) == ("failed", "The notebook does not define triple().")


def test_a_name_that_is_no_function_fails_its_check(ada):
    assert (ada["no-function"].outcome, ada["no-function"].hint) == ("failed", "seven must be a function.")


def test_a_function_that_raises_on_hidden_values_fails_and_says_only_what_it_raised(ada):
    hint = "refuse() raised ValueError for an input of this check."
    assert (ada["raises"].outcome, ada["raises"].hint) == ("failed", hint)


def test_a_value_of_another_shape_or_type_fails_with_what_was_expected(ada):
    for name, wanted in (("of-another-shape", "an array of int8 of shape (4,)"), ("of-another-type", "text")):
        assert ada[name].outcome == "failed"
        assert ada[name].hint.startswith(f"double() must return {wanted}")


def test_an_object_that_cannot_cross_fails_its_check(ada):
    assert ada["unsendable"].outcome == "failed"
    assert ada["unsendable"].hint == "anything() must return numbers, lists or arrays."


def test_a_public_check_shows_what_a_function_said(released, tmp_path):
    root = courses.copy(released, tmp_path)
    courses.submit(root, "ada", {"answer": "def double(x):\n    raise ValueError(f'not {x}')"})
    courses.submit(root, "bob", {"answer": "def double(x):\n    return 'ten'"})
    scores = courses.grade(root)
    assert courses.by_id(scores["ada"])["five"].hint == "double() raised ValueError: not 5"
    assert courses.by_id(scores["bob"])["five"].hint == "double() returned 'ten', not a number."


# --- Blocked ----------------------------------------------------------------------------------------------------------


def test_after_a_crash_checks_are_blocked_with_the_cell_and_its_exception(scores):
    score = scores["crashes"]
    checks = courses.by_id(score)
    assert checks["five"].outcome == checks["wants-seven"].outcome == "blocked"
    assert "double() is not there: code cell 1 raised ModuleNotFoundError" in checks["five"].hint
    assert checks["numpy-compares"].hint == checks["five"].hint
    assert (score.status, score.run.state, score.run.failures[0].cell) == ("scored", "finished", 1)


def test_a_check_that_needs_no_function_is_asked_even_after_a_crash(scores):
    assert courses.outcomes(scores["crashes"])["source"] == "failed"


def test_a_kernel_that_ends_itself_blocks_the_checks(scores):
    score = scores["dies"]
    assert score.run.state == "stopped"
    assert score.run.reason == ("Code cell 1 was stopped: the kernel ended by itself, as after os._exit() or a crash.")
    assert courses.by_id(score)["five"].hint == score.run.reason


def test_a_cell_that_never_ends_is_stopped_and_blocks_what_needs_it(scores):
    score = scores["loops"]
    assert score.run.state == "finished"
    assert (score.run.failures[0].cell, score.run.failures[0].name) == (1, "TimeLimit")
    assert courses.outcomes(score)["five"] == "blocked"
    hint = "double() is not there: code cell 1 raised TimeLimit: it ran for more than 5 seconds"
    assert courses.by_id(score)["five"].hint == hint
    assert score.earned == 0


# --- Broken: never a zero ---------------------------------------------------------------------------------------------


def graded_with(released, tmp_path, files):
    """The score of a good submission where autograder/ has these files instead."""
    root = courses.copy(released, tmp_path)
    for path, text in files.items():
        (root / "autograder" / "doubling" / path).write_text(text)
    courses.submit(root, "ada", {"answer": MORE})
    return root, courses.grade(root)["ada"]


def one_check(line):
    """The hidden checks, of which the first does this instead of comparing."""
    compared = 'assert kernel.call("double", 3, returns=float) == 7, "Seven was wanted."'
    assert compared in CHECKS
    return {"test_outcomes.py": CHECKS.replace(compared, line)}


def log_of(root):
    """What instructors read when something of theirs is broken."""
    return course.score_file(root, "ada", "doubling").with_name("grader.log").read_text()


def assert_unscored(score):
    assert (score.status, score.earned, score.grade.earned) == ("unscored", "unscored", "unscored")
    assert score.reason.endswith("The instructor has to mend this.")


def test_a_check_that_raises_is_broken_and_there_is_no_score(released, tmp_path):
    root, score = graded_with(released, tmp_path, one_check("len(3)"))
    assert_unscored(score)
    assert score.reason.startswith("The check 'wants-seven' broke, which says nothing about the work.")
    checks = courses.by_id(score)
    assert (checks["wants-seven"].outcome, checks["wants-seven"].earned) == ("broken", "unscored")
    assert re.search(r"\(TypeError in test_outcomes\.py, line \d+\)", checks["wants-seven"].hint)
    assert checks["five"].outcome == "passed"
    assert "object of type 'int' has no len()" in log_of(root)


def test_a_program_that_a_check_needs_and_is_missing_breaks_it(released, tmp_path):
    root, score = graded_with(released, tmp_path, one_check("subprocess.run(['no-such-program'], check=True)"))
    assert_unscored(score)
    assert "FileNotFoundError" in courses.by_id(score)["wants-seven"].hint
    assert "no-such-program" in log_of(root)


def test_a_check_that_asks_for_a_cell_that_is_not_there_is_broken(released, tmp_path):
    line = {"test_outcomes.py": CHECKS.replace('submission.source("answer")', 'submission.source("anwser")')}
    _, score = graded_with(released, tmp_path, line)
    assert_unscored(score)
    assert courses.outcomes(score)["source"] == "broken"


def test_a_check_that_asks_for_a_model_where_none_is_declared_is_broken(released, tmp_path):
    line = {"test_outcomes.py": CHECKS.replace("(submission):", "(submission, model):")}
    _, score = graded_with(released, tmp_path, line)
    assert_unscored(score)
    assert "assignment.yaml declares none" in courses.by_id(score)["source"].hint


def test_a_check_file_that_cannot_be_imported_leaves_no_score(released, tmp_path):
    _, score = graded_with(released, tmp_path, {"test_doubling.py": "import nothing_of_this_name\n"})
    assert_unscored(score)
    assert "test_doubling.py cannot be read" in score.reason
    assert "nothing_of_this_name" in score.reason


def test_two_checks_with_one_id_leave_no_score(released, tmp_path):
    _, score = graded_with(released, tmp_path, {"test_doubling.py": AGAIN})
    assert_unscored(score)
    assert "two checks are called 'five'" in score.reason


def test_a_check_without_points_leaves_no_score(released, tmp_path):
    bare = "def test_bare(kernel):\n    pass\n"
    _, score = graded_with(released, tmp_path, {"test_doubling.py": bare})
    assert_unscored(score)
    assert "test_bare has no @pytest.mark.points(points, id=...)" in score.reason


def test_a_check_that_ends_the_process_leaves_no_score(released, tmp_path):
    _, score = graded_with(released, tmp_path, one_check("import os; os._exit(7)"))
    assert_unscored(score)
    assert "the trusted process ended with status 7" in score.reason


def test_without_a_task_the_plugin_leaves_other_suites_alone(tmp_path):
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers", str(tmp_path)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "1 passed" in done.stdout


def test_each_check_has_random_numbers_of_its_own_that_repeat():
    first = generator("seed", "arrays").normal(size=3)
    assert (first == generator("seed", "arrays").normal(size=3)).all()
    assert not (first == generator("seed", "five").normal(size=3)).any()
    assert not (first == generator("other", "arrays").normal(size=3)).any()
