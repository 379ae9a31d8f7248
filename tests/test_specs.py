"""The specs room: what an author wrote is judged in one sentence with the way to mend it."""

import pytest

from coursekit import specs
from coursekit.errors import SpecError
from coursekit.records import GradedCell

WHERE = "assignments/quantize/assignment.yaml"

WHOLE = """
name: quantize
title: Quantize a digit reader to int8
notebook: quantize.ipynb
due: 2027-02-12T23:59:00-05:00
artifact: {path: model_int8.tflite}
baseline: {path: out/model.tflite}
late: {percent_per_day: 10, days: 3}
targets:
  - {id: size, metric: file_bytes, at_most: {pass: 50_000, full: 35_000}, points: 10}
  - {id: arena, metric: arena_bytes, profile: nano33, at_most: {pass: 16_384, full: 8_192}, points: 5.5}
  - {id: acc, metric: accuracy, data: hidden, at_least: {pass: 0.93, full: 0.96}, points: 12}
  - {id: drop, metric: accuracy_drop_points, data: hidden, at_most: {pass: 2, full: 2}, points: 3}
  - {id: ratio, metric: file_ratio, at_most: {pass: 0.5, full: 0.3}, points: 3}
"""


def read(text=WHOLE, folder=""):
    return specs.assignment(text.encode(), WHERE, folder)


def refusal(call, *args):
    with pytest.raises(SpecError) as error:
        call(*args)
    return f"{error.value} Fix: {error.value.fix}"


def test_a_whole_assignment_is_read():
    spec = read(folder="quantize")
    assert [target.id for target in spec.targets] == ["size", "arena", "acc", "drop", "ratio"]
    assert spec.targets[0].at_most.pass_ == 50_000
    assert spec.due.utcoffset().total_seconds() == -5 * 3600


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("name: quantize", "name: two words", "name cannot be 'two words'."),
        ("name: quantize", "name: ../up", "name cannot be '../up'."),
        ("quantize.ipynb", "sub/quantize.ipynb", "notebook cannot be 'sub/quantize.ipynb'."),
        ("quantize.ipynb", "quantize.py", "notebook cannot be 'quantize.py'."),
        ("notebook:", "notebok:", "there is no field called 'notebok'. Fix: did you mean 'notebook'?"),
        ("id: arena", "id: size", "two checks have the id 'size'."),
        ("id: arena", "id: 'a b'", "the id of a target cannot be 'a b'."),
        ("points: 5.5", "points: 0", "target 'arena': points must be more than 0, not 0."),
        ("metric: arena_bytes", "metric: ' '", "target 'arena' has no metric."),
        (
            "at_most: {pass: 50_000, full: 35_000}",
            "at_most: {pass: 35_000, full: 50_000}",
            "target 'size'.at_most: full (50,000) is greater than pass (35,000), so more work would earn less.",
        ),
        (
            "at_least: {pass: 0.93, full: 0.96}",
            "at_least: {pass: 0.96, full: 0.93}",
            "target 'acc'.at_least: full (0.93) is less than pass (0.96)",
        ),
        (
            "at_least: {pass: 0.93, full: 0.96}",
            "at_least: {pass: 1, full: 1}, at_most: {pass: 1, full: 1}",
            "target 'acc' has both at_most and at_least. Fix: give exactly one of them.",
        ),
        (", at_least: {pass: 0.93, full: 0.96}", "", "target 'acc' has neither at_most nor at_least."),
        ("metric: accuracy, data: hidden", "metric: accuracy", "target 'acc': accuracy needs data."),
        ("points, data: hidden", "points", "target 'drop': accuracy_drop_points needs data."),
        ("baseline: {path: out/model.tflite}", "", "target 'drop': accuracy_drop_points needs a baseline."),
        ("artifact: {path: model_int8.tflite}", "", "there is a baseline and no artifact."),
        ("out/model.tflite", "model_int8.tflite", "artifact and baseline have the same path."),
        ("out/model.tflite", "/etc/passwd", "baseline.path cannot be '/etc/passwd'."),
        ("out/model.tflite", "a/../../b", "baseline.path cannot be 'a/../../b'."),
        ("out/model.tflite", "'.'", "baseline.path cannot be '.'."),
        ("out/model.tflite", "'a\\b'", "baseline.path cannot be"),
        ("path: model_int8.tflite", "path: m.tflite, max_bytes: 0", "artifact.max_bytes must be more than 0, not 0."),
        (
            "late: {percent_per_day: 10",
            "late: {percent_per_day: 101",
            "late.percent_per_day must be 0 to 100, not 101.",
        ),
        ("days: 3", "days: -1", "late.days must not be negative, but is -1."),
        ("late:", "limits: {seconds: -1}\nlate:", "limits.seconds must be more than 0, not -1."),
        ("-05:00", "", "due is a time without a zone."),
        ("full: 0.96", "full: .nan", "targets[2].at_least.full must be a finite number"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(old, new, sentence):
    assert old in WHOLE
    assert refusal(read, WHOLE.replace(old, new, 1)).startswith(f"{WHERE}: {sentence}")


def test_the_name_is_the_folders_name():
    assert refusal(read, WHOLE, "quantise") == (
        f"{WHERE}: name is 'quantize', and the folder is called 'quantise'. "
        "Fix: write 'name: quantise', or rename the folder."
    )


def test_a_ratio_of_latencies_needs_a_baseline():
    text = WHOLE.replace("metric: accuracy_drop_points, data: hidden", "metric: latency_ratio, profile: nano33")
    text = text.replace("baseline: {path: out/model.tflite}\n", "")
    assert "target 'drop': latency_ratio needs a baseline." in refusal(read, text)


def test_a_target_without_an_artifact_has_nothing_to_measure():
    text = WHOLE.replace("artifact: {path: model_int8.tflite}\nbaseline: {path: out/model.tflite}\n", "")
    assert "target 'size' measures the artifact, and none is declared." in refusal(read, text)


# --- Courses and cases -----------------------------------------------------------------------------------------------


def test_a_course_is_read():
    course = specs.course(b"title: TinyML\nextensions: {quantize: {ada: 2027-02-20T12:00:00+00:00}}\n", "course.yaml")
    assert course.extensions["quantize"]["ada"].year == 2027


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gradebook: grades.db", "course.yaml: gradebook must be a database URL, not 'grades.db'."),
        ("late: {percent_per_day: -1}", "course.yaml: late.percent_per_day must be 0 to 100, not -1."),
        (
            "extensions: {quantize: {ada: 2027-02-20T12:00:00}}",
            "course.yaml: extensions.quantize.ada is a time without",
        ),
        ("extensions: {a/b: {}}", "course.yaml: a name under extensions cannot be 'a/b'."),
    ],
)
def test_a_course_that_cannot_be_meant_is_refused(text, sentence):
    assert refusal(specs.course, text.encode(), "course.yaml").startswith(sentence)


def test_a_wrong_answer_is_read():
    case = specs.case(b"why: It truncates.\ncells: {quantize: 'x = 1'}\nearns: {a: 0}\nblocked: [a]\n", "trunc.yaml")
    assert (case.earns, case.blocked) == ({"a": 0}, ("a",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("why: ' '\ncells: {a: b}", "trunc.yaml: why is empty."),
        ("why: x", "trunc.yaml: cells is empty, so this would be the reference itself."),
        ("why: x\ncells: {a: b}\nearns: {c: -1}", "trunc.yaml: earns.c must not be negative."),
        (
            "why: x\ncells: {a: b}\nearns: {c: 1}\nblocked: [c]",
            "trunc.yaml: 'c' is listed as blocked, and as earning 1",
        ),
    ],
)
def test_a_wrong_answer_that_cannot_be_meant_is_refused(text, sentence):
    assert refusal(specs.case, text.encode(), "trunc.yaml").startswith(sentence)


# --- Checks and cells ------------------------------------------------------------------------------------------------


def cell(name, points, source="# graded by its check", **flags):
    flags = {"grade": True, "locked": True} | flags
    return GradedCell(id=name, cell_type="code", source=source, released_source=source, points=points, **flags)


CELLS = (
    GradedCell(id="quantize", cell_type="code", source="x", released_source="x", solution=True),
    cell("size", 10.0),
    cell("arena", 5.5),
    cell("acc", 12.0),
    cell("drop", 3.0),
    cell("ratio", 3.0),
    cell("roundtrip", 3.0),
    cell("old-style", 2.0, source="# nbgrader's own\nassert quantize(0) == 0"),
    cell("why", 5.0, solution=True, locked=False),
)
CHECKS = (("roundtrip", 3.0),)


def test_an_assignment_whose_checks_and_cells_mirror_each_other_is_accepted():
    specs.check_points(read(), CHECKS, CELLS, WHERE)


@pytest.mark.parametrize(
    ("text", "checks", "cells", "sentence"),
    [
        (
            WHOLE.replace("id: arena", "id: arenna"),
            CHECKS,
            CELLS,
            "target 'arenna' has no cell in quantize.ipynb. Fix: did you mean 'arena'?",
        ),
        (
            WHOLE,
            (*CHECKS, ("extra", 2.0)),
            CELLS,
            "check 'extra' has no cell in quantize.ipynb. Fix: add a locked grade cell",
        ),
        (
            WHOLE,
            (("roundtrip", 4.0),),
            CELLS,
            "check 'roundtrip' is worth 4 points, and its cell in quantize.ipynb has 3.",
        ),
        (WHOLE, (*CHECKS, ("size", 10.0)), CELLS, "two checks have the id 'size'."),
        (
            WHOLE,
            (*CHECKS, ("why", 5.0)),
            CELLS,
            "check 'why' belongs to a cell of quantize.ipynb that is not graded automatically.",
        ),
        (
            WHOLE,
            (*CHECKS, ("quantize", 5.0)),
            CELLS,
            "check 'quantize' belongs to a cell of quantize.ipynb that is not graded automatically.",
        ),
        (
            WHOLE,
            (),
            CELLS,
            "grade cell 'roundtrip' of quantize.ipynb has neither a check nor a test of its own.",
        ),
    ],
)
def test_checks_and_cells_that_do_not_match_are_refused(text, checks, cells, sentence):
    assert refusal(specs.check_points, read(text), checks, cells, WHERE).startswith(f"{WHERE}: {sentence}")


def needing(*names):
    return read(WHOLE.replace("{id: arena,", f"{{id: arena, needs: [{', '.join(names)}],"))


def test_a_target_may_need_any_check_of_the_assignment():
    specs.check_needs(needing("size", "roundtrip"), CELLS, WHERE)
    specs.check_needs(read(), CELLS, WHERE)


@pytest.mark.parametrize(
    ("name", "fix"),
    [("roundtripp", "did you mean 'roundtrip'?"), ("why", "name a check"), ("quantize", "name a check")],
)
def test_a_target_that_needs_what_is_no_check_is_refused(name, fix):
    sentence = f"{WHERE}: target 'arena' needs '{name}', which is no check. Fix: {fix}"
    assert refusal(specs.check_needs, needing("size", name), CELLS, WHERE).startswith(sentence)


def test_a_target_that_needs_itself_is_refused():
    assert refusal(needing, "arena").startswith(f"{WHERE}: target 'arena' needs itself.")
