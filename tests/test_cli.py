"""The command line: help, errors that say whose move it is, exit codes, and one JSON document."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

import models
from coursekit import cli, errors
from coursekit.records import Measurement, Proof

pytestmark = pytest.mark.box

COMMAND = Path(sys.executable).with_name("coursekit")
COMMANDS = ("new", "prove", "release", "check", "grade", "report", "measure", "profiles", "doctor", "demo")


def coursekit(*words, folder, code=0):
    done = subprocess.run([COMMAND, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    coursekit("new", "first", folder=folder)
    return folder


def test_the_help_lists_every_command_under_who_uses_it(tmp_path):
    shown = coursekit("--help", folder=tmp_path).stdout
    for section in ("Write an assignment", "Do an assignment", "Grade an assignment", "Look around"):
        assert section in shown
    for name in COMMANDS:
        assert f"\n  {name} " in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_offers_json(name):
    shown = CliRunner().invoke(cli.cli, [name, "--help"])
    assert shown.exit_code == 0
    assert "--json" in shown.output
    assert len(shown.output.splitlines()) > 6


def test_a_wrong_command_offers_the_near_one(tmp_path):
    assert "Did you mean 'check'?" in coursekit("chek", folder=tmp_path, code=2).stderr


def test_a_wrong_option_is_the_caller_s_mistake(tmp_path):
    assert "--jbos" in coursekit("grade", "first", "--jbos", "2", folder=tmp_path, code=2).stderr


def test_a_folder_without_a_course_says_what_to_do(tmp_path):
    said = coursekit("grade", "first", folder=tmp_path, code=4).stderr
    assert "there is no course here" in said
    assert "Fix: go to the course folder" in said


def test_an_unknown_assignment_offers_the_near_one(course):
    said = coursekit("release", "frist", folder=course, code=4).stderr
    assert "there is no assignment called 'frist'" in said
    assert "did you mean 'first'?" in said


def test_a_folder_without_an_assignment_is_the_student_s_move(tmp_path):
    assert "assignment.yaml" in coursekit("check", folder=tmp_path, code=3).stderr


def test_an_unknown_profile_offers_the_near_one(tmp_path):
    said = coursekit("profiles", "show", "nano33-ble-sens", folder=tmp_path, code=4).stderr
    assert "did you mean 'nano33-ble-sense'?" in said


def test_an_error_is_a_document_too_when_json_is_asked_for(tmp_path):
    done = coursekit("report", "first", "--json", folder=tmp_path, code=4)
    document = json.loads(done.stdout)
    assert document["schema"] == "coursekit/error/v1"
    assert document["error"] == "CourseError"
    assert document["fix"]


def test_new_says_what_it_would_make_and_makes_nothing(tmp_path):
    shown = coursekit("new", "second", "--dry-run", folder=tmp_path).stdout
    assert "would make  assignments/second/second.ipynb" in shown
    assert list(tmp_path.iterdir()) == []


def test_new_does_not_write_over_an_assignment(course):
    assert "already" in coursekit("new", "first", folder=course, code=4).stderr


def test_new_refuses_a_name_that_is_a_path(course):
    assert "cannot be called" in coursekit("new", "../first", folder=course, code=4).stderr


def test_profiles_are_listed_as_a_table_and_as_json(tmp_path):
    assert "nano33-ble-sense" in coursekit("profiles", folder=tmp_path).stdout
    document = json.loads(coursekit("profiles", "--json", folder=tmp_path).stdout)
    assert document["schema"] == "coursekit/profiles/v1"
    assert {"nano33-ble-sense", "nucleo-l4r5zi"} <= {each["name"] for each in document["profiles"]}


def test_a_profile_shows_every_figure_with_its_source(tmp_path):
    document = json.loads(coursekit("profiles", "show", "nano33-ble-sense", "--json", folder=tmp_path).stdout)
    board = document["profile"]
    assert board["clock_hz"] == 64_000_000
    assert board["sources"]["clock_hz"]


def test_measuring_a_file_that_is_not_there_says_so(tmp_path):
    assert "there is no such file" in coursekit("measure", "none.tflite", folder=tmp_path, code=3).stderr


def test_measuring_what_is_no_ordinary_file_does_not_wait_for_it(tmp_path):
    os.mkfifo(tmp_path / "model.tflite")
    assert "not an ordinary file" in coursekit("measure", "model.tflite", folder=tmp_path, code=3).stderr
    assert "not an ordinary file" in coursekit("measure", ".", folder=tmp_path, code=3).stderr


@pytest.mark.box
def test_measuring_a_file_that_is_no_model_is_one_sentence(tmp_path):
    (tmp_path / "junk.tflite").write_bytes(b"junk" * 100)
    said = coursekit("measure", "junk.tflite", folder=tmp_path, code=3).stderr
    assert len(said.strip().splitlines()) <= 2


@pytest.mark.box
def test_a_model_is_measured_on_a_board_as_json(tmp_path):
    (tmp_path / "model.tflite").write_bytes(models.dense())
    words = ("measure", "model.tflite", "--profile", "nano33-ble-sense", "--json")
    document = json.loads(coursekit(*words, folder=tmp_path).stdout)
    assert document["schema"] == "coursekit/measurements/v1"
    found = {each["metric"]: each for each in document["measurements"]}
    assert {"metric", "value", "unit", "engine", "profile", "band", "status"} <= set(found["file_bytes"])
    assert found["file_bytes"]["value"] == (tmp_path / "model.tflite").stat().st_size
    assert found["arena_bytes"]["profile"] == "nano33-ble-sense"
    assert msgspec.convert(document["measurements"], list[Measurement])


@pytest.mark.box
def test_prove_leaves_with_1_when_a_case_earns_something_else(course):
    wrong = course / "autograder" / "first" / "wrong" / "adds.yaml"
    right = wrong.read_text()
    wrong.write_text(right.replace("earns: {arrays: 0}", "earns: {arrays: 1}"))
    try:
        document = json.loads(coursekit("prove", "first", "--json", folder=course, code=1).stdout)
    finally:
        wrong.write_text(right)
    proofs = {each.case: each for each in msgspec.convert(document["proofs"], list[Proof])}
    assert proofs["reference"].holds
    assert proofs["adds"].differences == ("arrays: earned 0.0, 1 is written down",)


EVERY_ERROR = sorted(
    (each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.CoursekitError)),
    key=lambda each: each.__name__,
)


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_every_error_says_what_where_and_how_to_mend_it(kind, capsys):
    error = kind("it is broken.", where="here.yaml", fix="mend it")
    cli._explain(error, wants_json=False)
    said = capsys.readouterr().err
    assert said.splitlines() == ["Error: here.yaml: it is broken.", "  Fix: mend it"]


@pytest.mark.parametrize(
    ("kind", "code"), [(errors.StudentError, 3), (errors.AuthorError, 4), (errors.MachineError, 5)]
)
def test_the_exit_code_says_whose_move_it_is(kind, code):
    family = [each for each in EVERY_ERROR if issubclass(each, kind)]
    assert len(family) > 1
    assert {each.exit_code for each in family} == {code}
