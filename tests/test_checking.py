"""A student's own check: the same checks and figures as the grader's, in a released folder with nothing else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import courses
from coursekit import checking, notebook
from coursekit.errors import MissingWork, UnreadableWork

pytestmark = pytest.mark.box

NAME = "shrink"

NOTHING_OF_THE_GRADERS = '''\
import sys

import pytest


@pytest.mark.points(1, id="light")
def test_light():
    """Nothing that only instructors have is needed."""
    assert not {"nbgrader", "sqlalchemy", "tensorflow"} & set(sys.modules)
'''

RUN = """\
import json, sys
from coursekit.cli import main
sys.argv = ["coursekit", "check", *sys.argv[1:]]
try:
    main()
finally:
    heavy = {"nbgrader", "sqlalchemy", "tensorflow"} & set(sys.modules)
    print("heavy:", sorted(heavy), file=sys.stderr)
"""

MAGIC = """\
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance()
with capture_output() as captured:
    assert shell.run_cell("%load_ext coursekit").success
    assert shell.run_cell("%check").success
print(captured.outputs[-1].data["text/html"])
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return courses.released(courses.make_shrink(tmp_path_factory.mktemp("checking")), NAME)


@pytest.fixture
def folder(course, tmp_path):
    """The released folder as a student has it: elsewhere, without a course around it."""
    return Path(shutil.copytree(course / "release" / NAME, tmp_path / "mine"))


def answered(folder, **cells):
    """The student's notebook with these cells written."""
    file = folder / f"{NAME}.ipynb"
    file.write_text(json.dumps(notebook.replace_sources(json.loads(file.read_text()), cells)))
    return folder


RIGHT = {"answer": "def double(x):\n    return 2 * x", "export": courses.writes(courses.MODEL)}


def test_right_work_earns_every_public_point_and_hidden_checks_are_counted(folder):
    score = checking.check(answered(folder, **RIGHT))
    assert courses.outcomes(score) == {"size": "passed", "five": "passed"}
    assert (score.status, score.earned, score.possible, score.withheld) == ("scored", 6.0, 6.0, 2)
    assert (score.student, score.run.sandbox) == ("you", "bwrap")


def test_the_figures_are_those_of_the_grader(course, folder, tmp_path):
    mine = courses.by_id(checking.check(answered(folder, **RIGHT)))
    root = courses.copy(course, tmp_path)
    courses.submit(root, "ada", RIGHT, name=NAME)
    theirs = courses.by_id(courses.grade(root, name=NAME)["ada"])
    assert mine == {name: check for name, check in theirs.items() if name in mine}


def test_work_that_has_not_begun_is_told_what_is_missing_and_leaves_with_one(folder):
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), "--json"], capture_output=True, text=True, check=False
    )
    score = json.loads(done.stdout)["score"]
    assert done.returncode == 1
    assert {check["id"]: check["outcome"] for check in score["checks"]} == {"size": "blocked", "five": "failed"}
    hints = {check["id"]: check["hint"] for check in score["checks"]}
    why = "Code cell 4 raised NotImplementedError before it could be made."
    assert hints["five"] == "double() raised NotImplementedError."
    assert hints["size"] == f"There is no file 'model.tflite'. {why}"


def test_nothing_that_only_instructors_have_is_imported(folder):
    (folder / "checks" / "test_modules.py").write_text(NOTHING_OF_THE_GRADERS)
    words = [sys.executable, "-c", RUN, str(answered(folder, **RIGHT)), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "heavy: []" in done.stderr
    outcomes = {check["id"]: check["outcome"] for check in json.loads(done.stdout)["score"]["checks"]}
    assert outcomes["light"] == "passed"
    assert done.returncode == 0


def test_a_table_is_shown_under_the_cell_in_a_notebook(folder):
    answered(folder, **RIGHT)
    done = subprocess.run([sys.executable, "-c", MAGIC], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "double(5) is 10." in done.stdout
    assert "<script" not in done.stdout


def test_a_folder_of_no_assignment_is_a_students_error_with_the_remedy(tmp_path):
    with pytest.raises(MissingWork, match=r"no assignment\.yaml") as error:
        checking.check(tmp_path)
    assert "go to the folder" in error.value.fix


def test_a_notebook_that_is_not_json_is_one_sentence(folder):
    (folder / f"{NAME}.ipynb").write_text("not a notebook")
    with pytest.raises(UnreadableWork, match=r"shrink\.ipynb is not a notebook"):
        checking.check(folder)


def test_without_the_notebook_the_student_is_told_so(folder):
    (folder / f"{NAME}.ipynb").unlink()
    with pytest.raises(MissingWork, match=r"There is no file 'shrink\.ipynb'"):
        checking.check(folder)
