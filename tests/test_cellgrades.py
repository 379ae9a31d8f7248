"""In-notebook asserts by nbgrader's rules, compared with nbgrader itself where it can be asked."""

import pytest
from nbformat import NotebookNode, from_dict
from nbgrader.utils import determine_grade

from coursekit import canaries
from coursekit.cellgrades import check_ids, grade_cells, grade_notebooks, held_back, unanswered
from coursekit.records import GradedCell

ERROR = {"output_type": "error", "ename": "AssertionError", "evalue": "", "traceback": []}
STDOUT = {"output_type": "stream", "name": "stdout", "text": "hello"}
STDERR = {"output_type": "stream", "name": "stderr", "text": "a warning"}


def result(text):
    return {"output_type": "execute_result", "data": {"text/plain": text}, "metadata": {}, "execution_count": 1}


def failure(message, *, name="AssertionError", traceback=()):
    return {"output_type": "error", "ename": name, "evalue": message, "traceback": list(traceback)}


def graded(source="assert f() == 1", *, cell_id="t", points=4.0, visible=None, **marks):
    marks = {"grade": True, "locked": True} | marks
    return GradedCell(
        id=cell_id,
        cell_type=marks.pop("cell_type", "code"),
        source=source,
        released_source=source if visible is None else visible,
        points=points,
        **marks,
    )


def ran(cell, *outputs, count=1, source=None):
    metadata = {"grade_id": cell.id, "grade": cell.grade, "solution": cell.solution, "points": cell.points}
    return {
        "cell_type": cell.cell_type,
        "source": cell.source if source is None else source,
        "metadata": {"nbgrader": metadata},
        "outputs": list(outputs),
        "execution_count": count,
    }


def notebook(*cells):
    return {"cells": list(cells)}


def check(cell, *outputs):
    return grade_cells([cell], notebook(ran(cell, *outputs)))[0]


def nbgraders(cell, *outputs):
    node: NotebookNode = from_dict(ran(cell, *outputs))
    return determine_grade(node)[0]


@pytest.mark.parametrize(
    "outputs",
    [
        (),
        (STDOUT,),
        (ERROR,),
        (STDOUT, ERROR),
        (result("0"),),
        (result("2.5"),),
        (result("4"),),
        (STDOUT, result("1e0")),
        (result(" 3 "),),
    ],
)
@pytest.mark.parametrize("points", [4.0, 100.0])
def test_points_are_those_of_nbgrader(outputs, points):
    cell = graded(points=points)
    assert check(cell, *outputs).earned == nbgraders(cell, *outputs)


def test_a_cell_without_points_passes_or_fails_all_the_same():
    cell = graded(points=0.0)
    assert (check(cell).outcome, check(cell).earned) == ("passed", 0.0)
    assert (check(cell, ERROR).outcome, check(cell, ERROR).earned) == ("failed", 0.0)


def test_text_on_stderr_is_a_zero_for_nbgrader_and_none_for_us():
    cell = graded()
    assert nbgraders(cell, STDERR) == 0
    assert check(cell, STDERR).outcome == "passed"
    assert check(cell, STDERR).earned == 4.0


@pytest.mark.parametrize("text", ["'hello'", "True", "-1", "nan", "[1, 2]"])
def test_unreadable_partial_credit_is_full_marks_for_nbgrader_and_waits_for_a_person_with_us(text):
    cell = graded()
    assert nbgraders(cell, result(text)) == 4.0
    assert check(cell, result(text)).outcome == "broken"
    assert check(cell, result(text)).earned == "unscored"
    assert "person" in check(cell, result(text)).hint


def test_more_than_all_points_stops_nbgrader_and_waits_for_a_person_with_us():
    cell = graded()
    with pytest.raises(ValueError, match="greater than maximum"):
        nbgraders(cell, result("5"))
    assert check(cell, result("5")).earned == "unscored"
    assert check(cell, result("inf")).earned == "unscored"


def test_a_number_as_numpy_writes_it_is_partial_credit():
    found = check(graded(), result("np.float64(2.5)"))
    assert (found.outcome, found.earned, found.hint) == ("failed", 2.5, "2.5 of 4 points.")


def test_a_result_that_student_code_displayed_before_an_error_earns_nothing():
    assert check(graded(), result("4"), ERROR).earned == 0.0


def test_of_two_results_none_is_believed():
    assert check(graded(), result("4"), result("1")).earned == "unscored"


def test_a_result_without_text_waits_for_a_person():
    bare = {"output_type": "execute_result", "data": {"image/png": "AA=="}, "metadata": {}, "execution_count": 1}
    assert check(graded(), bare).earned == "unscored"


def test_a_cell_that_was_never_reached_is_blocked():
    cell = graded()
    found = grade_cells([cell], notebook(ran(cell, count=None)))[0]
    assert (found.outcome, found.earned) == ("blocked", 0.0)
    assert found.hint == "The notebook stopped before this cell was done."


def test_a_cell_in_which_the_kernel_died_is_blocked_whatever_it_printed():
    cell = graded()
    assert grade_cells([cell], notebook(ran(cell, STDOUT, result("4"), count=None)))[0].outcome == "blocked"
    assert grade_cells([cell], notebook(ran(cell, ERROR, count=None)))[0].outcome == "failed"


def test_an_empty_test_cell_is_not_run_and_passes():
    cell = graded("  \n")
    assert grade_cells([cell], notebook(ran(cell, count=None)))[0].outcome == "passed"


def test_a_test_cell_that_is_gone_is_blocked():
    found = grade_cells([graded()], notebook())[0]
    assert (found.outcome, found.earned) == ("blocked", 0.0)


def test_of_two_cells_with_one_grade_id_the_last_counts():
    cell = graded()
    assert grade_cells([cell], notebook(ran(cell, ERROR), ran(cell)))[0].outcome == "passed"


def test_only_test_cells_become_checks():
    manual = graded(cell_id="essay", solution=True, cell_type="markdown")
    answer = graded(cell_id="answer", grade=False, solution=True)
    assert grade_cells([manual, answer], notebook(ran(manual), ran(answer))) == ()


def test_a_test_that_is_no_code_waits_for_a_person():
    cell = graded(cell_type="markdown")
    assert check(cell).outcome == "broken"


# --- Unanswered ------------------------------------------------------------------------------------------------------


def test_an_answer_as_it_was_handed_out_is_unanswered():
    essay = graded("YOUR ANSWER HERE", cell_id="essay", solution=True, cell_type="markdown")
    code = graded("# YOUR CODE HERE", cell_id="code", grade=False, solution=True)
    same = notebook(ran(essay), ran(code))
    changed = notebook(ran(essay, source="42"), ran(code, source="x = 1"))
    assert unanswered([essay, code], same) == {"essay", "code"}
    assert unanswered([essay, code], changed) == set()


def test_an_answer_that_is_gone_is_unanswered():
    assert unanswered([graded(cell_id="essay", solution=True)], notebook()) == {"essay"}


def test_a_test_is_never_unanswered():
    cell = graded()
    assert unanswered([cell], notebook(ran(cell))) == set()


def test_a_source_that_a_file_holds_as_lines_is_the_same_source():
    cell = graded("a\nb", cell_id="essay", solution=True)
    assert unanswered([cell], notebook(ran(cell, source=["a\n", "b"]))) == {"essay"}


# --- What a student reads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ('"""Check the sum."""\nassert f() == 1', "Check the sum."),
        ("# The sum is right.\nassert f() == 1", "The sum is right."),
        ("### BEGIN HIDDEN TESTS\nassert f() == 1", "The tests in cell t pass."),
        ("assert f() == 1  # the sum", "The tests in cell t pass."),
        ("", "The tests in cell t pass."),
    ],
)
def test_the_sentence_is_the_first_line_an_author_wrote_about_the_test(source, sentence):
    assert check(graded(source)).sentence == sentence


def test_the_sentence_never_comes_from_a_hidden_test():
    cell = graded("# Uses seed 1234\nassert f() == 1", visible="assert f() == 1")
    assert check(cell).sentence == "The tests in cell t pass."
    assert check(cell).hidden


def test_the_hint_is_the_exception():
    assert check(graded(), failure("\x1b[31mtwo\x1b[0m\n lines", name="ValueError")).hint == "ValueError: two lines"


def test_a_bare_assert_shows_its_line():
    cell = graded("x = f()\nassert x == 1")
    error = failure("", traceback=["      1 x = f()\n\x1b[32m----> 2\x1b[0m assert x == 1"])
    assert check(cell, error).hint == "AssertionError: assert x == 1"


def test_a_bare_assert_never_shows_a_line_that_is_not_in_the_released_cell():
    error = failure("", traceback=["----> 2 assert secret == 1"])
    assert check(graded(), error).hint == "AssertionError"


def test_a_long_hint_is_cut():
    assert len(check(graded(), failure("x" * 10_000)).hint) == 300


HIDDEN = 'assert f(2) == 4, "Mind the square."\nassert f(31) == 961, f"f({31}) is {f(31)}, which is wrong."'


def test_of_a_hidden_test_only_the_message_is_shown_that_its_author_wrote():
    cell = graded(HIDDEN, visible="")
    assert check(cell, failure("Mind the square.")).hint == "Mind the square."
    assert check(cell, failure("f(31) is 30, which is wrong.")).hint == "f(…) is …, which is wrong."


@pytest.mark.parametrize("message", ["assert f(31) == 961", "Mind the square. f(31)", "31", "f(31) is"])
def test_a_message_that_student_code_made_of_a_hidden_test_is_not_shown(message):
    assert check(graded(HIDDEN, visible=""), failure(message)).hint == "AssertionError"


def test_the_name_of_an_exception_that_student_code_made_is_not_shown_for_a_hidden_test():
    assert check(graded(HIDDEN, visible=""), failure("", name="f31is961")).hint == "An exception was raised."


def test_what_runs_after_a_hidden_test_shows_no_text_of_the_students_making():
    before, hidden, after = graded(cell_id="a"), graded(HIDDEN, cell_id="b", visible=""), graded(cell_id="c")
    leak = failure("assert f(31) == 961")
    done = notebook(ran(before, leak), ran(hidden), ran(after, leak))
    hints = [found.hint for found in grade_cells([before, hidden, after], done)]
    assert hints == ["AssertionError: assert f(31) == 961", "", "AssertionError"]


def test_a_result_after_a_hidden_test_is_not_repeated():
    hidden, after = graded(HIDDEN, cell_id="b", visible=""), graded(cell_id="c")
    done = notebook(ran(hidden), ran(after, result("'f(31) == 961'")))
    assert "31" not in grade_cells([hidden, after], done)[1].hint


def test_a_hostile_message_is_matched_in_linear_time():
    cell = graded('assert f(), f"{a} {b} {c} {d} {e} {g}!"', visible="")
    assert check(cell, failure(" " * 200_000)).hint == "AssertionError"


def test_a_hidden_test_with_magics_shows_only_the_name_of_its_exception():
    cell = graded('%time f()\nassert f(), "Mind it."', visible="")
    assert check(cell, failure("Mind it.")).hint == "AssertionError"


# --- Several notebooks -----------------------------------------------------------------------------------------------


def test_a_grade_id_in_two_notebooks_is_told_apart_by_the_notebook():
    cells = {"one": (graded(cell_id="a"), graded(cell_id="b")), "two": (graded(cell_id="a"),)}
    assert check_ids(cells) == {("one", "a"): "one/a", ("one", "b"): "b", ("two", "a"): "two/a"}
    executed = {stem: notebook(*(ran(cell) for cell in notebook_cells)) for stem, notebook_cells in cells.items()}
    assert [found.id for found in grade_notebooks(cells, executed)] == ["one/a", "b", "two/a"]


def test_a_notebook_that_was_not_handed_in_is_blocked():
    found = grade_notebooks({"one": (graded(),)}, {})[0]
    assert (found.outcome, found.earned, found.hint) == ("blocked", 0.0, "one.ipynb was not handed in.")


# --- What cannot be believed -----------------------------------------------------------------------------------------

DOUBT = "The cell raised an exception that was not shown."


@pytest.mark.parametrize("outputs", [(), (result("2.5"),), (result("'hello'"),), (result("4"), result("1"))])
def test_points_that_cannot_be_believed_wait_for_a_person(outputs):
    found = check(graded(), *outputs)
    (kept,), (waiting,) = held_back([found], {"t": DOUBT})
    assert (kept.outcome, kept.earned) == ("blocked", 0.0)
    assert kept.hint.startswith("A person will look at this")
    assert (waiting.id, waiting.points, waiting.reason) == ("t", 4.0, DOUBT)


def test_a_cell_that_failed_by_itself_stays_failed_whatever_is_doubted():
    found = check(graded(), ERROR)
    assert held_back([found], {"t": DOUBT}) == ((found,), ())


def test_a_cell_that_raised_and_ended_as_well_waits_for_a_person():
    (kept,), (waiting,) = held_back([check(graded(), ERROR)], {"t": canaries.ENDED_AND_RAISED})
    assert (kept.outcome, waiting.reason) == ("blocked", canaries.ENDED_AND_RAISED)


def test_what_nobody_doubts_is_as_it_was():
    found = check(graded())
    assert held_back([found], {"another": DOUBT}) == ((found,), ())
