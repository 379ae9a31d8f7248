"""Which test cells would be safer as checks outside, and why."""

import json

import pytest
from click.testing import CliRunner

import courses
import forgeries
from coursekit.cli import cli
from coursekit.cli.tables import exposed_tables
from coursekit.exposure import exposed
from coursekit.notebook import parse

HIDDEN = "assert f(1) == 2\n### BEGIN HIDDEN TESTS\nassert f(3) == 4\n### END HIDDEN TESTS"


def notebook(*cells):
    return json.loads(json.dumps({"cells": [{**cell, "source": cell.source} for cell in cells]}))


def only(source):
    (found,) = exposed("ps1", [notebook(courses.check_cell("t", 3, source))])
    return found


def test_a_cell_with_asserts_is_listed_with_its_points():
    found = only("assert f(1)")
    assert (found.assignment, found.cell, found.points) == ("ps1", "t", 3.0)
    assert found.why == ("an exception that it raises passes through the student's interpreter",)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (HIDDEN, "its hidden tests are sent into the student's process, which can read them"),
        ("assert f(1) == 2", "it compares what the student's code gave, which may claim to be equal"),
        ("assert np.allclose(f(1), 2)", "it relies on np.allclose, which the student's code can change"),
        ("%%time\nassert (", "it cannot be read as Python, so less of it is watched"),
    ],
)
def test_the_gravest_reason_stands_first(source, why):
    assert only(source).why[0] == why


def test_a_cell_for_a_check_outside_is_not_listed_nor_one_that_a_person_marks():
    cells = [courses.check_cell("ours", 1), courses.answer_cell("answer", "def f(x):\n    return x")]
    by_hand = courses.marked(courses.check_cell("prose", 2, "x = 1"), "prose", grade=True, solution=True, points=2)
    assert exposed("ps1", [notebook(*cells, by_hand)]) == ()


def test_what_coursekit_new_makes_is_checked_from_outside(tmp_path):
    root = courses.make(tmp_path)
    file = root / "assignments" / "doubling" / "doubling.ipynb"
    assert exposed("doubling", [parse(file.read_bytes(), file.name)]) == ()


def test_the_list_says_how_to_ask_from_outside():
    shown, how = exposed_tables([only(HIDDEN)])
    assert shown.row_count == 1
    assert "write a pytest check with the cell's grade id in autograder/NAME/" in str(how)
    assert exposed_tables([]) == []


@pytest.mark.box
def test_doctor_tells_an_author_which_cells_would_be_safer_outside(tmp_path):
    root = forgeries.make(tmp_path)
    done = CliRunner().invoke(cli, ["doctor", "--course", str(root), "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)["diagnosis"]["exposed"]
    assert [each["cell"] for each in found] == ["mean_test", *forgeries.TESTS]
