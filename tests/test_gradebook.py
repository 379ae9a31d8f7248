"""The one room that speaks nbgrader: settings, release, cells, records, autograded notebooks, feedback."""

import json
import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import nbgrader
import pytest
from nbclient import NotebookClient
from nbformat import v4
from nbgrader.api import Gradebook as TheirGradebook

from coursekit import cellgrades, gradebook
from coursekit.errors import AuthorError, CourseError, GradebookError, UnreadableWork
from coursekit.gradebook.database import shown
from coursekit.records import Check, Grade, Score

pytestmark = pytest.mark.box

EXAMPLE = Path(nbgrader.__file__).parent / "docs" / "source" / "user_guide"
"""What `nbgrader quickstart` copies, and the submissions of bitdiddle and hacker."""

DUE = datetime(2027, 2, 12, 23, 59, tzinfo=UTC)
TEST_SOURCE = 'assert f(1) == 1, "One stays one."\n### BEGIN HIDDEN TESTS\nassert f(31) == 961, "Square it."\n'
TEST_SOURCE += "### END HIDDEN TESTS"


# --- A small course --------------------------------------------------------------------------------------------------


def marked(cell, grade_id, *, points=None, grade=False, solution=False, locked=False, task=False):
    meta = {"grade_id": grade_id, "grade": grade, "solution": solution, "locked": locked, "task": task}
    meta |= {"schema_version": 3} | ({"points": points} if points is not None else {})
    cell.metadata["nbgrader"] = meta
    return cell


def source_cells():
    answer = "def f(x):\n    ### BEGIN SOLUTION\n    return x * x\n    ### END SOLUTION"
    return [
        marked(v4.new_markdown_cell("# Squares\n\n![](picture.png)"), "intro", locked=True),
        marked(v4.new_code_cell(answer), "f", solution=True),
        v4.new_code_cell("print('mine')"),
        marked(v4.new_code_cell(TEST_SOURCE), "squares", points=4, grade=True, locked=True),
        marked(v4.new_markdown_cell("Because."), "essay", points=2, grade=True, solution=True),
        marked(v4.new_markdown_cell("Draw it."), "task", points=3, locked=True, task=True),
        v4.new_code_cell("print('after')"),
    ]


def write_source(folder, cells=None, name="squares.ipynb"):
    folder.mkdir(parents=True, exist_ok=True)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = v4.new_notebook(cells=source_cells() if cells is None else cells, metadata={"kernelspec": kernel})
    (folder / name).write_text(json.dumps(book), encoding="utf-8")  # nbformat would refuse what some tests are about
    return folder


def make_course(root):
    """A course of ours with one assignment, not released."""
    folder = write_source(root / "assignments" / "squares")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "checks").mkdir()
    (folder / "checks" / "test_public.py").write_text("def test(): pass\n")
    (root / "autograder" / "squares").mkdir(parents=True)
    (root / "autograder" / "squares" / "hidden.py").write_text("SEED = 1\n")
    return gradebook.settings(root)


@pytest.fixture
def course(tmp_path):
    """A course of ours with one assignment, not released."""
    return make_course(tmp_path / "course")


@pytest.fixture(scope="module")
def released_once(tmp_path_factory):
    """The same, released; never written to."""
    made = make_course(tmp_path_factory.mktemp("template") / "course")
    gradebook.release(made, "squares", due=DUE)
    return made.root


@pytest.fixture
def released(released_once, tmp_path):
    """The same, released, for one test to write to."""
    return gradebook.settings(shutil.copytree(released_once, tmp_path / "course"))


def executed(cells, answers=None, outputs=None):
    """A notebook as the runner leaves it: every cell of the release, with these sources and outputs by grade id."""
    done = []
    for number, cell in enumerate(cells, 1):
        ours = v4.new_code_cell if cell.cell_type == "code" else v4.new_markdown_cell
        new = ours(cell.source if cell.locked else (answers or {}).get(cell.id, cell.released_source))
        new.metadata["nbgrader"] = {"grade_id": cell.id, "grade": cell.grade, "solution": cell.solution}
        if cell.cell_type == "code":
            new.execution_count = number
            new.outputs = [nbformat.from_dict(output) for output in (outputs or {}).get(cell.id, [])]
        done.append(new)
    return v4.new_notebook(cells=done)


ANSWERS = {"f": "def f(x):\n    return x * x", "essay": "It grows."}


def scored(checks, *, student="ada", status="scored", penalty=None, name="squares"):
    grade = penalty is not None and Grade(due=DUE, submitted_at=DUE, days_late=1, penalty=penalty, earned=0.0)
    return Score(
        assignment=name, student=student, status=status, earned=0.0, possible=9.0, checks=checks, grade=grade or None
    )


def check(earned, cell_id="squares", outcome="passed"):
    return Check(id=cell_id, sentence="", outcome=outcome, points=4.0, earned=earned)


def rows(settings, name="squares"):
    """Student -> cell -> (auto, manual, extra, waiting), as nbgrader reads them."""
    with TheirGradebook(settings.db_url) as book:
        return {
            submission.student.id: {
                grade.name: (grade.auto_score, grade.manual_score, grade.extra_credit, grade.needs_manual_grade)
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
            for submission in book.find_assignment(name).submissions
        }


def comments(settings, student="ada"):
    with TheirGradebook(settings.db_url) as book:
        submission = book.find_submission("squares", student)
        return {comment.name: comment.comment for book_ in submission.notebooks for comment in book_.comments}


def record(settings, earned=4.0, answers=ANSWERS, student="ada", **kind):
    cells = gradebook.cells(settings, "squares")
    done = {"squares": executed(cells["squares"], answers)}
    with gradebook.Gradebook(settings) as book:
        book.record(scored((check(earned),), student=student, **kind), cells, done, DUE)
    return cells, done


# --- Settings --------------------------------------------------------------------------------------------------------


def test_the_room_is_light_until_it_is_used():
    heavy = {"nbgrader", "sqlalchemy", "nbconvert"}
    code = f"import sys, coursekit.gradebook as g; g.Settings; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_course_of_ours_needs_no_configuration(course):
    assert course.source == course.root / "assignments"
    assert course.release == course.root / "release"
    assert course.db_url == f"sqlite:///{course.root}/gradebook.db"
    assert not course.plain


def test_a_plain_course_is_read_as_nbgrader_reads_it(tmp_path):
    (tmp_path / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'course101'\nc.CourseDirectory.submitted_directory = 'in'\n"
        "c.NbGrader.db_url = 'sqlite:///grades/marks.db'\nprint('chatter')\n"
    )
    read = gradebook.settings(tmp_path)
    assert (read.course_id, read.plain, read.source) == ("course101", True, tmp_path / "source")
    assert read.submitted == tmp_path / "in"
    assert read.db_url == f"sqlite:///{tmp_path}/grades/marks.db"


def test_reading_a_configuration_prints_nothing_on_stdout(tmp_path, capsys):
    (tmp_path / "nbgrader_config.py").write_text("print('chatter')\n")
    gradebook.settings(tmp_path)
    assert capsys.readouterr().out == ""


def test_the_address_a_course_names_holds_where_its_configuration_names_none(course):
    assert gradebook.settings(course.root, gradebook="sqlite:///other.db").db_url == f"sqlite:///{course.root}/other.db"


def test_postgresql_is_spoken_with_the_driver_that_is_installed(course):
    read = gradebook.settings(course.root, gradebook="postgresql://u:secret@db/marks")
    assert read.db_url == "postgresql+psycopg://u:secret@db/marks"


def test_the_password_of_an_address_is_never_shown(course):
    read = gradebook.settings(course.root, gradebook="postgresql://u:secret@db/marks?password=secret")
    assert "secret" not in repr(read)
    assert "secret" not in shown(read.db_url)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("c = get_config(\n", "SyntaxError"),
        ("raise RuntimeError('oh no')\n", "oh no"),
        ("import sys; sys.exit(3)\n", "cannot be"),
        ("c = get_config()\nc.CourseDirectory.source_directory = 5\n", "source_directory"),
        ("c = get_config()\nc.CourseDirectory.db_url = 'not a url'\n", "database URL"),
        ("c = get_config()\nc.CourseDirectory.root = '/elsewhere'\n", "/elsewhere"),
        ("c = get_config()\nc.CourseDirectory.directory_structure = '{student_id}/{nbgrader_step}'\n", "usual"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_a_course_error(tmp_path, text, words):
    (tmp_path / "nbgrader_config.py").write_text(text)
    with pytest.raises(CourseError, match=words) as error:
        gradebook.settings(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_folder_that_nbgrader_would_read_as_a_pattern_is_refused(tmp_path):
    with pytest.raises(CourseError, match=r"\[ \]"):
        gradebook.settings(tmp_path / "course[1]")


# --- Release ---------------------------------------------------------------------------------------------------------


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_release_has_the_notebook_without_answers_and_nothing_hidden(course, capfd):
    folder = gradebook.release(course, "squares", due=DUE)
    assert sorted(files(folder)) == ["checks/test_public.py", "picture.png", "squares.ipynb"]
    text = (folder / "squares.ipynb").read_text()
    assert "YOUR CODE HERE" in text
    assert "x * x" not in text
    assert "961" not in text
    assert capfd.readouterr() == ("", "")


def test_a_release_fills_the_gradebook_as_nbgrader_does(course):
    gradebook.release(course, "squares", due=DUE)
    with TheirGradebook(course.db_url) as book:
        assignment = book.find_assignment("squares")
        assert assignment.duedate == DUE.replace(tzinfo=None)
        assert assignment.max_score == 9.0
        assert "961" in book.find_source_cell("squares", "squares", "squares").source


def test_releasing_again_gives_the_same_files(course):
    first = files(gradebook.release(course, "squares"))
    assert files(gradebook.release(course, "squares")) == first
    assert [path.name for path in course.release.iterdir()] == ["squares"]


def test_releasing_again_after_submissions_keeps_their_grades(released):
    record(released)
    gradebook.release(released, "squares", due=DUE)
    assert rows(released)["ada"]["squares"][0] == 4.0


def test_a_due_time_that_was_taken_away_is_taken_from_the_gradebook(course):
    gradebook.release(course, "squares", due=DUE)
    gradebook.release(course, "squares")
    with TheirGradebook(course.db_url) as book:
        assert book.find_assignment("squares").duedate is None


def test_a_release_is_quiet_on_the_root_logger(course, caplog):
    with caplog.at_level(logging.DEBUG):
        gradebook.release(course, "squares")
    assert [record.name for record in caplog.records if "nbgrader" in record.name] == []


def without(field):
    cells = source_cells()
    del cells[3].metadata["nbgrader"][field]
    return cells


def twice():
    return [*source_cells(), source_cells()[1]]


def unclosed():
    cells = source_cells()
    cells[1].source = "### BEGIN SOLUTION\nx = 1"
    return cells


def textual():
    cells = source_cells()
    cells[3].metadata["nbgrader"]["points"] = "four"
    return cells


def outdated():
    cells = source_cells()
    cells[3].metadata["nbgrader"]["schema_version"] = 1
    return cells


def raw():
    return [*source_cells(), marked(v4.new_raw_cell("x"), "raw", locked=True)]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (without("points"), "does not have points|lacks 'points'"),
        (without("grade_id"), "grade_id"),
        (twice(), "Duplicate grade id: f"),
        (unclosed(), "no end solution statement"),
        (textual(), "points: 'four' is not of type 'number'"),
        (outdated(), "schema version"),
        (raw(), "code and markdown"),
    ],
)
def test_what_nbgrader_refuses_is_told_in_its_own_sentence(course, cells, words, capfd):
    write_source(course.source / "squares", cells)
    with pytest.raises(AuthorError, match=words) as error:
        gradebook.release(course, "squares")
    assert error.value.where.endswith("assignments/squares/squares.ipynb")
    assert "\n" not in str(error.value)
    assert error.value.fix
    assert capfd.readouterr() == ("", "")


def test_a_notebook_that_is_no_json_is_told_to_its_author(course):
    (course.source / "squares" / "squares.ipynb").write_text("{broken")
    with pytest.raises(AuthorError, match="JSON"):
        gradebook.release(course, "squares")


def test_a_refused_release_leaves_the_one_before(course):
    before = files(gradebook.release(course, "squares"))
    write_source(course.source / "squares", twice())
    with pytest.raises(AuthorError):
        gradebook.release(course, "squares")
    assert files(course.release / "squares") == before


def test_cells_cannot_change_under_submissions(released):
    record(released)
    more = marked(v4.new_code_cell("assert True"), "more", points=1, grade=True, locked=True)
    write_source(released.source / "squares", [*source_cells(), more])
    with pytest.raises(AuthorError, match="submissions associated") as error:
        gradebook.release(released, "squares")
    assert "another name" in error.value.fix


def test_an_assignment_that_is_not_there_is_named_with_those_that_are(course):
    with pytest.raises(CourseError, match="no assignment") as error:
        gradebook.release(course, "sqares")
    assert error.value.fix == "there are: squares."


def test_an_assignment_without_a_notebook_is_refused(course):
    (course.source / "squares" / "squares.ipynb").unlink()
    with pytest.raises(CourseError, match="no notebook"):
        gradebook.release(course, "squares")


def test_a_link_is_refused_since_it_may_lead_to_hidden_checks(course):
    (course.source / "squares" / "data.py").symlink_to(course.root / "autograder" / "squares" / "hidden.py")
    with pytest.raises(AuthorError, match="only files and folders"):
        gradebook.release(course, "squares")


def test_a_named_pipe_is_refused_instead_of_waited_for(course):
    os.mkfifo(course.source / "squares" / "pipe")
    with pytest.raises(AuthorError, match="only files and folders"):
        gradebook.release(course, "squares")


@pytest.mark.parametrize("name", ["", ".", "..", "../squares", "a/b", "sq*", " squares", "a+b", "x" * 129, "a\nb"])
def test_a_name_that_means_more_than_itself_is_refused(course, name):
    with pytest.raises(CourseError, match="cannot be the name of an assignment"):
        gradebook.release(course, name)


# --- Cells -----------------------------------------------------------------------------------------------------------


def test_cells_come_in_the_order_of_the_notebook_with_their_hidden_tests(released):
    found = {cell.id: cell for cell in gradebook.cells(released, "squares")["squares"]}
    assert list(found) == ["intro", "f", "squares", "essay", "task"]
    assert "961" in found["squares"].source
    assert "961" not in found["squares"].released_source
    assert found["squares"].locked
    assert found["squares"].cell_id
    assert [cell.id for cell in found.values() if cell.manual] == ["essay", "task"]
    assert [cell.points for cell in found.values()] == [None, None, 4.0, 2.0, 3.0]


def test_without_a_release_the_cells_are_what_nbgrader_would_have_released(released):
    before = gradebook.cells(released, "squares")["squares"]
    shutil.rmtree(released.release)
    after = gradebook.cells(released, "squares")["squares"]
    assert [(cell.id, cell.released_source) for cell in after] == [(cell.id, cell.released_source) for cell in before]


def test_cells_of_what_was_not_released_are_a_course_error_with_the_remedy(course):
    with pytest.raises(CourseError) as error:
        gradebook.cells(course, "squares")
    assert error.value.fix == "run `coursekit release squares`."


@pytest.fixture
def plain(tmp_path):
    """The course that `nbgrader quickstart` makes, with the submissions of nbgrader's own documentation."""
    root = tmp_path / "course101"
    shutil.copytree(EXAMPLE / "source", root / "source", ignore=shutil.ignore_patterns("*.html", "ps1_autotest"))
    shutil.copytree(EXAMPLE / "submitted", root / "submitted")
    (root / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'course101'\n"
        "c.IncludeHeaderFooter.header = 'source/header.ipynb'\n"
    )
    return gradebook.settings(root)


def test_a_plain_course_that_was_not_released_is_released_when_its_cells_are_asked_for(plain):
    found = gradebook.cells(plain, "ps1")
    assert [len(cells) for cells in found.values()] == [10, 2]
    assert (plain.release / "ps1" / "problem1.ipynb").is_file()


def test_a_release_that_was_handed_out_stays_when_only_the_gradebook_is_missing(plain):
    before = files(gradebook.release(plain, "ps1"))
    (plain.root / "gradebook.db").unlink()
    assert set(gradebook.cells(plain, "ps1")) == {"problem1", "problem2"}
    assert files(plain.release / "ps1") == before


# --- Recording -------------------------------------------------------------------------------------------------------


def test_points_go_into_the_gradebook_cell_by_cell_and_manual_cells_wait(released):
    record(released, earned=2.5)
    assert rows(released)["ada"] == {
        "squares": (2.5, None, None, False),
        "essay": (None, None, None, True),
        "task": (None, None, None, True),
    }


@pytest.mark.parametrize("found", [check("unscored", outcome="broken"), check(0.0, outcome="broken"), check(0.0, "x")])
def test_what_has_no_score_is_no_zero_but_waits_for_a_person(released, found):
    cells = gradebook.cells(released, "squares")
    with gradebook.Gradebook(released) as book:
        book.record(scored((found,)), cells, {"squares": executed(cells["squares"], ANSWERS)}, DUE)
    assert rows(released)["ada"]["squares"] == (None, None, None, True)


def test_an_unscored_submission_has_no_zero_anywhere(released):
    record(released, answers={}, status="unscored")
    assert {row[0] for row in rows(released)["ada"].values()} == {None}


def test_an_answer_that_was_not_given_earns_nothing_and_is_told_so(released):
    record(released, answers={"f": "f = abs"})
    assert rows(released)["ada"]["essay"] == (0.0, None, None, False)
    assert comments(released) == {"f": None, "essay": "No response.", "task": None}


def mark(settings, cell, *, manual=None, extra=None, comment=None):
    with TheirGradebook(settings.db_url) as book:
        grade = book.find_grade(cell, "squares", "squares", "ada")
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = manual, extra, False
        if comment:
            book.find_comment(cell, "squares", "squares", "ada").manual_comment = comment
        book.db.commit()


def test_marks_comments_and_extra_credit_survive_a_regrade_and_are_flagged_for_another_look(released):
    record(released, earned=0.0)
    mark(released, "essay", manual=1.5, extra=0.5, comment="Why?")
    mark(released, "squares", manual=3.0)
    record(released, earned=4.0)
    assert rows(released)["ada"]["essay"] == (None, 1.5, 0.5, True)
    assert rows(released)["ada"]["squares"] == (4.0, 3.0, None, True)
    assert comments(released)["essay"] == "Why?"
    with gradebook.Gradebook(released) as book:
        assert book.marks("squares") == {"ada": {"essay": 1.5, "squares": 3.0}}
        total = book.totals("squares")["ada"]
        assert (total.points, total.possible, total.waiting) == (5.0, 9.0, True)


def test_a_mark_for_a_task_is_left_as_it_is(released):
    record(released)
    mark(released, "task", manual=2.0)
    record(released)
    assert rows(released)["ada"]["task"] == (None, 2.0, None, False)


def test_a_notebook_that_was_not_handed_in_earns_nothing_without_a_person(released):
    cells = gradebook.cells(released, "squares")
    with gradebook.Gradebook(released) as book:
        book.record(scored((check(0.0, outcome="blocked"),)), cells, {}, None)
    assert set(rows(released)["ada"].values()) == {(0.0, None, None, False)}


def test_the_time_of_submission_is_kept_in_utc(released):
    cells = gradebook.cells(released, "squares")
    with gradebook.Gradebook(released) as book:
        book.record(scored(()), cells, {}, datetime.fromisoformat("2027-02-13T01:00:00+02:00"))
    with TheirGradebook(released.db_url) as book:
        assert book.find_submission("squares", "ada").timestamp == datetime(2027, 2, 12, 23, 0)  # noqa: DTZ001


def test_the_penalty_of_the_grade_reaches_the_gradebook_and_leaves_it_again(released):
    record(released, penalty=1.5)
    with gradebook.Gradebook(released) as book:
        assert (book.totals("squares")["ada"].penalty, book.totals("squares")["ada"].points) == (1.5, 4.0)
    record(released)
    with gradebook.Gradebook(released) as book:
        assert book.totals("squares")["ada"].penalty == 0.0


def test_a_penalty_is_never_more_than_the_points(released):
    record(released, earned=1.0, penalty=3.0)
    with gradebook.Gradebook(released) as book:
        assert book.totals("squares")["ada"].penalty == 1.0


def test_a_penalty_is_spread_over_notebooks_in_proportion_to_their_points(plain):
    cells = gradebook.cells(plain, "ps1")
    checks = (check(1.0, "correct_squares"), check(0.5, "correct_sum_of_squares"))
    done = {stem: executed(notebook) for stem, notebook in cells.items()}
    with gradebook.Gradebook(plain) as book:
        book.record(scored(checks, name="ps1", penalty=0.6), cells, done, None)
        assert book.totals("ps1")["ada"].penalty == pytest.approx(0.6)
        book.record(scored(checks, name="ps1"), cells, done, None, penalties={"problem1": 0.25})
        assert book.totals("ps1")["ada"].penalty == 0.25


LATE_POLICY = """
from nbgrader.plugins import BasePlugin
class HalfPlugin(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return score / 2
"""


def test_the_late_policy_of_a_plain_course_is_its_own(plain):
    (plain.root / "half.py").write_text(LATE_POLICY)
    with (plain.root / "nbgrader_config.py").open("a") as config:
        config.write("c.AssignLatePenalties.plugin_class = 'half.HalfPlugin'\n")
    gradebook.release(plain, "ps1", due=DUE)
    cells = gradebook.cells(plain, "ps1")
    done = {stem: executed(notebook) for stem, notebook in cells.items()}
    with gradebook.Gradebook(plain) as book:
        for student, late in (("ada", timedelta(hours=1)), ("bob", timedelta(0))):
            book.record(scored((check(1.0, "correct_squares"),), student=student, name="ps1"), cells, done, DUE + late)
        assert book.late_penalty("ada", "ps1") == {"problem1": 0.5, "problem2": 0.0}
        assert book.late_penalty("bob", "ps1") == {"problem1": 0.0, "problem2": 0.0}


def test_students_are_given_with_what_is_known_of_them(released):
    with TheirGradebook(released.db_url) as book:
        book.add_student("eve", first_name="Eve", last_name="Fox", email="e@x.org", lms_user_id="7")
    record(released)
    with gradebook.Gradebook(released) as book:
        assert {student.id: student.last_name for student in book.students()} == {"ada": "", "eve": "Fox"}
        assert book.possible("squares") == 9.0


def test_what_the_gradebook_lacks_is_a_course_error_and_the_next_record_still_works(released):
    cells = gradebook.cells(released, "squares")
    with gradebook.Gradebook(released) as book:
        with pytest.raises(CourseError, match="No such assignment"):
            book.record(scored((), name="cubes"), cells, {}, None)
        with pytest.raises(CourseError, match="cannot be the name of a student"):
            book.record(scored((), student="../ada"), cells, {}, None)
        book.record(scored((check(1.0),)), cells, {}, None)
    assert rows(released)["ada"]["squares"][0] == 1.0


# --- A database that does not answer ---------------------------------------------------------------------------------


def test_a_database_that_another_program_writes_to_says_whose_move_it_is(released):
    cells = gradebook.cells(released, "squares")
    hurried = gradebook.settings(released.root, gradebook="sqlite:///gradebook.db?timeout=0.05")
    other = sqlite3.connect(released.root / "gradebook.db")
    with gradebook.Gradebook(hurried) as book:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(GradebookError, match="another program is writing"):
            book.record(scored((check(1.0),)), cells, {}, None)
        other.rollback()
        book.record(scored((check(1.0),)), cells, {}, None)
    other.close()
    assert rows(released)["ada"]["squares"][0] == 1.0


def test_a_file_that_is_no_database_is_told(course):
    (course.root / "gradebook.db").write_bytes(b"these are not the pages of a database" * 100)
    with pytest.raises(GradebookError, match="not a database"), gradebook.Gradebook(course):
        pass


def test_a_folder_that_is_not_there_is_told(course):
    gone = gradebook.settings(course.root, gradebook="sqlite:///no/such/folder.db")
    with pytest.raises(GradebookError, match="cannot be opened") as error, gradebook.Gradebook(gone):
        pass
    assert "folder exists" in error.value.fix


def test_a_driver_that_is_not_installed_is_told_without_the_password(course):
    mysql = gradebook.settings(course.root, gradebook="mysql+pymysql://u:secret@localhost/marks")
    with pytest.raises(GradebookError, match="driver 'pymysql'") as error, gradebook.Gradebook(mysql):
        pass
    assert "secret" not in f"{error.value} {error.value.fix}"


def test_a_database_of_another_version_is_told(released):
    with sqlite3.connect(released.root / "gradebook.db") as other:
        other.execute("ALTER TABLE student RENAME COLUMN lms_user_id TO gone")
    other.close()
    with gradebook.Gradebook(released) as book, pytest.raises(GradebookError) as error:
        book.students()
    assert "nbgrader db upgrade" in error.value.fix


# --- Timestamps ------------------------------------------------------------------------------------------------------


def test_a_timestamp_is_read_as_nbgrader_reads_it(tmp_path):
    (tmp_path / "timestamp.txt").write_text("2015-02-02 14:58:23.948203 America/Los_Angeles\n")
    assert gradebook.timestamp(tmp_path) == datetime(2015, 2, 2, 22, 58, 23, 948203, tzinfo=UTC)


def test_no_timestamp_is_none(tmp_path):
    assert gradebook.timestamp(tmp_path) is None
    (tmp_path / "timestamp.txt").write_text(" \n")
    assert gradebook.timestamp(tmp_path) is None


def test_a_timestamp_that_is_no_time_or_no_file_is_refused(tmp_path):
    (tmp_path / "timestamp.txt").write_text("yesterday")
    with pytest.raises(UnreadableWork, match="no time"):
        gradebook.timestamp(tmp_path)
    (tmp_path / "timestamp.txt").unlink()
    os.mkfifo(tmp_path / "timestamp.txt")
    with pytest.raises(UnreadableWork, match="pipe"):
        gradebook.timestamp(tmp_path)


# --- Autograded notebooks and feedback -------------------------------------------------------------------------------

SCRIPT = "<script>alert(1)</script>"
LEAK = "assert f(31) == 961"
HOSTILE = {
    "f": [
        {"output_type": "stream", "name": "stdout", "text": f"mine {SCRIPT}"},
        {"output_type": "display_data", "data": {"text/html": SCRIPT}, "metadata": {}},
        {"output_type": "display_data", "data": {"application/javascript": "alert(2)"}, "metadata": {}},
        {
            "output_type": "display_data",
            "data": {"image/png": f'"></img>{SCRIPT}', "text/plain": "a picture"},
            "metadata": {"image/png": {"width": f"1>{SCRIPT}"}},
        },
    ],
    "squares": [
        {"output_type": "stream", "name": "stdout", "text": LEAK},
        {"output_type": "error", "ename": "AssertionError", "evalue": "Square it.", "traceback": [f"----> 3 {LEAK}"]},
    ],
}


def write_both(settings, tmp_path, answers=ANSWERS, outputs=HOSTILE):
    cells, _ = record(settings, earned=0.0)
    done = executed(cells["squares"], answers, outputs)
    after = v4.new_code_cell("print(stolen)", execution_count=99)
    after.outputs = [v4.new_output("stream", name="stdout", text=LEAK)]
    done.cells.append(after)
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "timestamp.txt").write_text("2027-02-12 10:00:00 UTC")
    (submission / "virus.sh").write_text("echo")
    autograded = gradebook.write_autograded(settings, "ada", "squares", {"squares": done}, submission)
    return autograded, gradebook.write_feedback(settings, "ada", "squares")


def test_an_autograded_notebook_is_as_nbgrader_leaves_it(released, tmp_path):
    folder, _ = write_both(released, tmp_path)
    assert sorted(files(folder)) == ["picture.png", "squares.ipynb", "timestamp.txt"]
    assert (folder / "squares.ipynb").stat().st_mode & 0o777 == 0o444
    notebook = nbformat.read(folder / "squares.ipynb", as_version=4)
    meta = {cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader for cell in notebook.cells if cell.metadata}
    with TheirGradebook(released.db_url) as book:
        for cell in book.find_notebook("squares", "squares").source_cells:
            assert meta[cell.name].checksum == cell.checksum
    assert meta["squares"].points == 4.0
    assert LEAK in notebook.cells[2].source


def test_an_autograded_notebook_has_nothing_live_for_formgrader(released, tmp_path):
    folder, _ = write_both(released, tmp_path)
    notebook = nbformat.read(folder / "squares.ipynb", as_version=4)
    kinds = {kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert kinds == {"text/plain"}


def test_writing_again_replaces_what_was_there(released, tmp_path):
    folder, _ = write_both(released, tmp_path)
    (folder / "left.txt").write_text("old")
    gradebook.write_autograded(released, "ada", "squares", {}, tmp_path / "submission")
    assert sorted(files(folder)) == ["picture.png", "timestamp.txt"]


def test_a_feedback_page_has_points_and_comments(released, tmp_path):
    record(released)
    mark(released, "essay", manual=1.5, comment="Well **argued**.")
    _, folder = write_both(released, tmp_path)
    page = (folder / "squares.html").read_text()
    assert "Score: 1.5 / 9.0" in page
    assert "Well <strong>argued</strong>." in page
    assert "It grows." in page
    assert (folder / "picture.png").is_file()


def test_a_feedback_page_runs_nothing_of_a_students_making(released, tmp_path):
    text = f"{SCRIPT}\n\n<img src=x onerror=alert(3)>\n\n[click](javascript:alert(4)) <iframe src='//evil'></iframe>"
    text += "\n\n<a href='data:text/html,<script>alert(5)</script>'>x</a> $a < b$"
    _, folder = write_both(released, tmp_path, answers=ANSWERS | {"essay": text})
    page = (folder / "squares.html").read_text()
    for live in ("<script>alert", "<img onerror", "onerror=alert(3)>", 'href="javascript', "<iframe", 'href="data:'):
        assert live not in page
    assert "<script" not in page
    assert "$a &lt; b$" in page


def test_a_feedback_page_shows_no_hidden_test(released, tmp_path):
    _, folder = write_both(released, tmp_path)
    page = (folder / "squares.html").read_text()
    shown = re.sub(r"cell-id=\w+", "", page.partition('id="notebook-container"')[2])  # an id is drawn, and may hold 31
    assert "31" not in shown
    assert "Square it." in page
    assert "Outputs from here on are not shown" in page
    assert "mine" in page


def test_a_mark_scheme_is_not_shown_and_withholds_no_outputs(course, tmp_path):
    cells = source_cells()
    cells[5].source = "Draw it.\n### BEGIN MARK SCHEME\nOne point for axes.\n### END MARK SCHEME"
    cells[3].source = "assert f(1) == 1"
    write_source(course.source / "squares", cells)
    gradebook.release(course, "squares")
    _, folder = write_both(course, tmp_path)
    page = (folder / "squares.html").read_text()
    assert "Draw it." in page
    assert "axes" not in page
    assert "not shown: this notebook" not in page


def test_other_files_beside_a_feedback_page_stay(released, tmp_path):
    (released.feedback / "ada" / "squares").mkdir(parents=True)
    (released.feedback / "ada" / "squares" / "score.html").write_text("ours")
    _, folder = write_both(released, tmp_path)
    assert (folder / "score.html").read_text() == "ours"
    assert not list(released.feedback.glob(".*"))


def test_feedback_without_grades_is_a_course_error(released, tmp_path):
    with pytest.raises(CourseError, match="no graded notebook"):
        gradebook.write_feedback(released, "ada", "squares")
    write_both(released, tmp_path)
    shutil.copytree(released.autograded / "ada", released.autograded / "eve")
    with pytest.raises(CourseError, match="gradebook lacks it"):
        gradebook.write_feedback(released, "eve", "squares")


# --- The example course of nbgrader itself ---------------------------------------------------------------------------


def with_locked_cells_back(path, cells):
    """What nbgrader does before it runs a notebook: no outputs, and locked cells as they were."""
    notebook = nbformat.read(path, as_version=4)
    originals = {cell.id: cell.source for cell in cells if cell.locked}
    for cell in notebook.cells:
        cell.source = originals.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


@pytest.mark.box
def test_on_nbgraders_example_course_our_points_are_nbgraders_cell_by_cell(plain, tmp_path):
    theirs = gradebook.settings(shutil.copytree(plain.root, tmp_path / "theirs"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # nbgrader looks for a program called alembic
    for step in ("generate_assignment", "autograde"):
        command = [sys.executable, "-m", "nbgrader", step, "ps1"]
        subprocess.run(command, cwd=theirs.root, env=os.environ | {"PATH": path}, check=True, capture_output=True)

    cells = gradebook.cells(plain, "ps1")
    with gradebook.Gradebook(plain) as book:
        for student in ("bitdiddle", "hacker"):
            folder = plain.submitted / student / "ps1"
            done = {}
            for stem, graded in cells.items():
                done[stem] = with_locked_cells_back(folder / f"{stem}.ipynb", graded)
                where = {"metadata": {"path": str(folder)}}
                NotebookClient(done[stem], allow_errors=True, resources=where).execute()
            checks = cellgrades.grade_notebooks(cells, done)
            book.record(scored(checks, student=student, name="ps1"), cells, done, gradebook.timestamp(folder))
            gradebook.write_autograded(plain, student, "ps1", done, folder)
            gradebook.write_feedback(plain, student, "ps1")

    assert rows(plain, "ps1") == rows(theirs, "ps1")
    assert sum(row[0] is not None for grades in rows(plain, "ps1").values() for row in grades.values()) == 9
    assert rows(plain, "ps1")["bitdiddle"]["correct_squares"][0] == 0.0
    assert rows(plain, "ps1")["hacker"]["correct_squares"][0] == 1.0
