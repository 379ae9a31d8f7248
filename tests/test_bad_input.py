"""Whatever is handed in, there is a score or a stated absence of one, a sentence that says so, and the class goes on.

One class hands in everything bad at once and is graded once; each test looks at one of its scores.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import nbformat
import pytest

import courses
from coursekit import course, release
from coursekit.errors import CourseError, SpecError

pytestmark = pytest.mark.box

NAME = "shrink"
MAKE = "import os, pathlib\n"
UNKEEPABLE = "zoe+2"
FULL = 12.0
TWO_FIGURES = 7.0
PRINTED = "for _ in range(500):\n    print('x' * 100_000)"

ARTIFACTS = {
    "no_model": "pass",
    "empty_model": courses.writes(b""),
    "half_a_model": courses.writes(courses.MODEL[: len(courses.MODEL) // 2]),
    "linked_model": MAKE + "os.symlink('/etc/passwd', 'model.tflite')",
    "hard_linked_model": courses.writes(courses.MODEL, "real") + "\nimport os; os.link('real', 'model.tflite')",
    "folder_for_a_model": MAKE + "os.mkdir('model.tflite')",
    "large_model": MAKE + "pathlib.Path('model.tflite').write_bytes(bytes(20_001))",
    "text_for_a_model": MAKE + "pathlib.Path('model.tflite').write_text('a very small model indeed')",
    "model_of_other_shape": courses.writes(courses.models.dense_float(5, 3)),
    "model_with_other_operators": courses.writes(courses.models.custom("FlexErf")),
}


def nothing_but(*cells):
    return nbformat.writes(nbformat.v4.new_notebook(cells=list(cells))).encode()


def with_cells(root, change):
    """The reference with its list of cells changed."""
    nb = courses.reference(root, NAME)
    nb["cells"] = change(nb["cells"])
    return json.dumps(nb).encode()


def with_megabytes_of_output(root):
    nb = courses.reference(root, NAME)
    printed = {"output_type": "stream", "name": "stdout", "text": "x" * 50_000_000}
    nb["cells"][1]["outputs"] = [printed]
    return json.dumps(nb).encode()


def for_another_kernel(root):
    nb = courses.reference(root, NAME)
    nb["metadata"] = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}
    return json.dumps(nb).encode()


def other_notebook():
    source = nbformat.v4.new_code_cell("def triple(x):\n    return 3 * x")
    return nothing_but(courses.marked(source, "tripling", solution=True))


def hand_in_notebooks(root):
    """Everything that can be wrong with the notebook."""
    bad = {
        "not_json": b"Dear grader, my notebook is attached.",
        "cut_off": with_cells(root, list)[:-200],
        "no_cells": nothing_but(),
        "for_another_assignment": other_notebook(),
        "cells_deleted": with_cells(root, lambda cells: [cell for cell in cells if cell["id"] not in {"five", "size"}]),
        "answer_deleted": with_cells(root, lambda cells: [cell for cell in cells if cell["id"] != "answer"]),
        "cells_duplicated": with_cells(root, lambda cells: [each for cell in cells for each in (cell, cell)]),
        "cells_reordered": with_cells(root, lambda cells: cells[::-1]),
        "wrong_kernel": for_another_kernel(root),
        "much_output": with_megabytes_of_output(root),
    }
    for student, data in bad.items():
        courses.submit(root, student, name=NAME, data=data)
    courses.submit(root, "prints_much", {"answer": PRINTED}, name=NAME)
    nowhere = root / "submitted" / "no_notebook" / NAME
    nowhere.mkdir(parents=True)
    (nowhere / "notes.txt").write_text("I forgot the notebook.")
    with (courses.submit(root, "huge", name=NAME) / f"{NAME}.ipynb").open("r+b") as file:
        file.truncate(120_000_000)
    linked = root / "submitted" / "linked_notebook" / NAME
    linked.mkdir(parents=True)
    (linked / f"{NAME}.ipynb").symlink_to(root / "assignments" / NAME / f"{NAME}.ipynb")


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return courses.released(courses.make_shrink(tmp_path_factory.mktemp("bad")), NAME)


@pytest.fixture(scope="module")
def scores(released, tmp_path_factory):
    """Everything bad in one class, with one good submission at its end."""
    root = courses.copy(released, tmp_path_factory.mktemp("class"))
    hand_in_notebooks(root)
    for student, source in ARTIFACTS.items():
        courses.submit(root, student, {"export": source}, name=NAME)
    courses.submit(root, UNKEEPABLE, name=NAME)
    courses.submit(root, "zoe", name=NAME)
    return courses.grade(root, name=NAME)


def hints(score):
    return {check.hint for check in score.checks if check.outcome != "passed"}


def why_nothing_ran(score):
    """The reason that every check of a notebook that could not be run gives."""
    assert {check.outcome for check in score.checks} == {"blocked"}
    assert all(check.hint.endswith(score.run.reason) for check in score.checks)
    assert (score.status, score.earned, score.run.state) == ("scored", 0, "not run")
    return score.run.reason


# --- The class --------------------------------------------------------------------------------------------------------


def test_everyone_has_a_score_and_the_good_submission_earns_everything(scores):
    assert len(scores) == 16 + len(ARTIFACTS)
    assert [student for student, score in scores.items() if score.status != "scored"] == [UNKEEPABLE]
    assert scores["zoe"].earned == FULL == scores["zoe"].possible


def test_a_student_whose_name_nbgrader_cannot_keep_has_no_score_and_the_instructor_is_told_why(scores):
    score = scores[UNKEEPABLE]
    assert (score.status, score.earned) == ("unscored", "unscored")
    assert score.reason.startswith("It cannot be kept: 'zoe+2' cannot be the name of a student: it has +")
    assert score.reason.endswith("The instructor has to mend this: rename its folder.")


def test_what_is_possible_is_the_same_for_everyone(scores):
    assert {score.possible for score in scores.values()} == {FULL}


def test_every_sentence_is_short_and_ends(scores):
    for score in scores.values():
        for sentence in (*hints(score), *score.notes):
            assert sentence.endswith(".")
            assert len(sentence) < 300
            assert "Traceback" not in sentence


def test_nobody_is_told_where_the_grader_keeps_its_files(scores):
    for score in scores.values():
        for sentence in (*hints(score), *score.notes):
            assert str(Path(tempfile.gettempdir())) not in sentence


# --- The notebook -----------------------------------------------------------------------------------------------------


def test_a_notebook_that_is_not_json_is_blocked_with_one_sentence(scores):
    assert why_nothing_ran(scores["not_json"]) == "shrink.ipynb is not a notebook: it is not JSON."


def test_a_notebook_that_was_cut_off_is_told_so(scores):
    assert "it ends too early" in why_nothing_ran(scores["cut_off"])


def test_a_notebook_without_cells_is_told_so(scores):
    assert why_nothing_ran(scores["no_cells"]) == "shrink.ipynb has no cells, so there is nothing to grade."


def test_a_notebook_for_another_assignment_is_told_so(scores):
    said = why_nothing_ran(scores["for_another_assignment"])
    assert "This looks like a notebook for another assignment (it has 'tripling'" in said


def test_deleted_check_cells_come_back_and_cost_nothing(scores):
    assert scores["cells_deleted"].earned == FULL
    assert scores["cells_deleted"].notes == ("The cells 'five', 'size' were missing and put back as released.",)


def test_a_deleted_answer_earns_nothing_and_its_cell_comes_back_without_an_answer(scores):
    score = scores["answer_deleted"]
    assert courses.outcomes(score) == {"five": "failed", "arrays": "failed", "size": "passed", "accuracy": "passed"}
    assert score.notes == ("The cell 'answer' was missing and put back without an answer.",)
    assert score.earned == TWO_FIGURES


def test_duplicated_cells_are_graded_once_and_told_so(scores):
    score = scores["cells_duplicated"]
    assert score.earned == FULL
    (note,) = score.notes
    assert note.endswith("are in the notebook more than once; the last copy is graded.")


def test_reordered_cells_are_put_back_in_order(scores):
    score = scores["cells_reordered"]
    assert score.earned == FULL
    assert score.notes == ("The graded cells were in another order; the order of the release was put back.",)


def test_a_notebook_with_another_kernel_is_run_with_python_and_told_so(scores):
    score = scores["wrong_kernel"]
    assert score.earned == FULL
    assert score.notes == ("The notebook asks for a kernel of another language; it is run with python.",)


def test_fifty_megabytes_of_stored_output_are_skipped(scores):
    assert scores["much_output"].earned == FULL


def test_a_notebook_that_prints_fifty_megabytes_is_stopped_and_told_so(scores):
    score = scores["prints_much"]
    assert score.run.state == "stopped"
    assert score.run.reason.startswith("Code cell 1 was stopped: it printed more than ")
    assert {check.outcome for check in score.checks} == {"blocked"}
    assert score.run.reason in courses.by_id(score)["five"].hint


def test_a_submission_without_a_notebook_is_told_so(scores):
    assert why_nothing_ran(scores["no_notebook"]) == "No notebook 'shrink.ipynb' was handed in."


def test_a_notebook_that_is_a_link_is_not_followed(scores):
    assert why_nothing_ran(scores["linked_notebook"]) == "'shrink.ipynb' is a link; it must be an ordinary file."


def test_a_notebook_of_a_hundred_megabytes_and_more_is_not_read(scores):
    said = why_nothing_ran(scores["huge"])
    assert said == "'shrink.ipynb' has 120,000,000 bytes; at most 110,000,000 are accepted."


def test_a_student_who_handed_in_nothing_is_named(scores, released, tmp_path):
    root = courses.copy(released, tmp_path)
    with pytest.raises(CourseError, match="nobody has handed in 'shrink'"):
        courses.grade(root, name=NAME)
    courses.submit(root, "zoe", name=NAME)
    with pytest.raises(CourseError, match="there is no submission of 'zeo' for 'shrink'") as error:
        courses.grade(root, "zeo", name=NAME)
    assert "zoe" in error.value.fix


# --- The artifact -----------------------------------------------------------------------------------------------------


def assert_no_artifact(score, sentence):
    """The checks of the model are blocked with this sentence, and the others earn their points."""
    blocked = {check.id: check.hint for check in score.checks if check.outcome != "passed"}
    assert blocked == {"size": sentence, "accuracy": sentence}
    assert score.run.artifact.problem == sentence
    assert (score.status, score.earned) == ("scored", FULL - TWO_FIGURES)


@pytest.mark.parametrize(
    ("student", "sentence"),
    [
        ("no_model", "There is no file 'model.tflite'."),
        ("empty_model", "'model.tflite' is empty."),
        ("linked_model", "'model.tflite' is a link; it must be an ordinary file."),
        ("hard_linked_model", "'model.tflite' is a link to another file; it must be an ordinary file."),
        ("folder_for_a_model", "'model.tflite' is a folder; it must be an ordinary file."),
        ("large_model", "'model.tflite' has 20,001 bytes; at most 20,000 are accepted."),
    ],
)
def test_an_artifact_that_cannot_be_read_blocks_its_checks_with_one_sentence(scores, student, sentence):
    assert_no_artifact(scores[student], sentence)


@pytest.mark.parametrize(
    ("student", "words"),
    [
        ("half_a_model", "model"),
        ("text_for_a_model", "Your model is not a TensorFlow Lite file."),
        ("model_of_other_shape", "shape"),
        ("model_with_other_operators", "FlexErf"),
    ],
)
def test_an_artifact_that_is_no_model_for_this_fails_with_one_sentence(scores, student, words):
    checks = courses.by_id(scores[student])
    assert checks["accuracy"].outcome == "failed"
    assert words in checks["accuracy"].hint
    assert checks["five"].outcome == checks["arrays"].outcome == "passed"


def test_an_artifact_that_is_no_model_has_no_size_either(scores):
    for student in ("half_a_model", "text_for_a_model"):
        assert courses.by_id(scores[student])["size"].outcome == "failed"


@pytest.fixture(scope="module")
def by_hand(released, tmp_path_factory):
    """A class whose models do not come from the notebook, but lie beside it."""
    root = courses.copy(released, tmp_path_factory.mktemp("by_hand"))
    facts = root / "assignments" / NAME / "assignment.yaml"
    facts.write_text(facts.read_text().replace("path: model.tflite", "path: model.tflite, made_by: student"))
    folders = {
        student: courses.submit(root, student, {"export": "pass"}, name=NAME)
        for student in ("model", "none", "fifo", "link", "folder", "large")
    }
    (folders["model"] / "model.tflite").write_bytes(courses.MODEL)
    os.mkfifo(folders["fifo"] / "model.tflite")
    (folders["link"] / "model.tflite").symlink_to(folders["model"] / "model.tflite")
    (folders["folder"] / "model.tflite").mkdir()
    (folders["large"] / "model.tflite").write_bytes(bytes(20_001))
    return courses.grade(root, name=NAME)


def test_a_model_that_lies_beside_the_notebook_is_graded_like_one_it_made(by_hand):
    assert by_hand["model"].earned == FULL


@pytest.mark.parametrize(
    ("student", "sentence"),
    [
        ("none", "There is no file 'model.tflite'."),
        ("fifo", "'model.tflite' is a named pipe; it must be an ordinary file."),
        ("link", "'model.tflite' is a link; it must be an ordinary file."),
        ("folder", "'model.tflite' is a folder; it must be an ordinary file."),
        ("large", "'model.tflite' has 20,001 bytes; at most 20,000 are accepted."),
    ],
)
def test_a_file_handed_in_that_is_no_ordinary_one_blocks_its_checks(by_hand, student, sentence):
    assert_no_artifact(by_hand[student], sentence)


# --- assignment.yaml --------------------------------------------------------------------------------------------------


def rewritten(released, tmp_path, old, new):
    """A course whose assignment.yaml was changed after the release, and one submission."""
    root = courses.copy(released, tmp_path)
    file = root / "assignments" / NAME / "assignment.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    courses.submit(root, "zoe", name=NAME)
    return root


def test_an_unknown_field_in_assignment_yaml_is_named_with_the_one_that_was_meant(released, tmp_path):
    root = rewritten(released, tmp_path, "notebook:", "notebok:")
    with pytest.raises(SpecError, match=r"assignments/shrink/assignment\.yaml.*notebok") as error:
        courses.grade(root, name=NAME)
    assert "notebook" in error.value.fix
    assert not (root / "scores").exists()


def test_a_wrong_type_in_assignment_yaml_is_named_with_its_place(released, tmp_path):
    root = rewritten(released, tmp_path, "max_bytes: 20_000", "max_bytes: twenty")
    with pytest.raises(SpecError, match=r"artifact\.max_bytes must be a whole number"):
        courses.grade(root, name=NAME)


def test_a_target_whose_points_are_not_those_of_its_cell_is_refused_before_anything_is_graded(released, tmp_path):
    root = rewritten(released, tmp_path, "points: 4", "points: 40")
    for job in (courses.grade, release.release):
        with pytest.raises(SpecError, match=r"'size' is worth 40 points, and its cell in shrink\.ipynb has 4"):
            job(root, name=NAME)
    assert not (root / "scores").exists()


def test_a_check_whose_points_are_not_those_of_its_cell_leaves_the_submission_without_a_score(released, tmp_path):
    root = courses.copy(released, tmp_path)
    file = root / "autograder" / NAME / "test_shrink.py"
    file.write_text(file.read_text().replace("points(3", "points(30"))
    courses.submit(root, "zoe", name=NAME)
    score = courses.grade(root, name=NAME)["zoe"]
    assert (score.status, score.earned) == ("unscored", "unscored")
    assert "check 'arrays' is worth 30 points, and its released cell 3" in score.reason
    assert "The instructor has to mend this." in score.reason


def test_an_assignment_that_nobody_made_is_a_course_error_with_a_near_match(released):
    with pytest.raises(CourseError, match="there is no assignment called 'shrnk'") as error:
        course.assignment(released, "shrnk")
    assert "shrink" in error.value.fix


def test_a_folder_whose_name_no_file_can_hold_costs_nobody_else_anything(tmp_path):
    root = courses.released(courses.make(tmp_path), "doubling")
    courses.submit(root, "ada")
    shutil.copytree(root / "submitted" / "ada", root / "submitted" / os.fsdecode(b"b\xffb"))
    scores = courses.grade(root)
    assert (scores["ada"].status, scores[r"b\xffb"].status) == ("scored", "unscored")
    assert "rename its folder" in scores[r"b\xffb"].reason
