"""YAML and JSON become records, or a sentence that names the file, the place and the way out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coursekit.decoding import decode_json, decode_yaml
from coursekit.errors import SpecError
from coursekit.records import Assignment, Course, Finished

BEGINNING = "name: a\ntitle: b\nnotebook: c\n"


def refusal(text: str | bytes, type_: type = Assignment) -> SpecError:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(SpecError) as caught:
        decode_yaml(data, type_, "assignment.yaml")
    assert caught.value.where == "assignment.yaml"
    return caught.value


def test_a_right_file_becomes_its_record():
    text = BEGINNING + "due: 2027-02-12T23:59:00-05:00\ntargets:\n"
    text += "  - {id: size, metric: file_bytes, points: 10, at_most: {pass: 50_000, full: 35_000}}\n"
    assignment = decode_yaml(text.encode(), Assignment, "assignment.yaml")
    assert assignment.due == datetime(2027, 2, 13, 4, 59, tzinfo=UTC)
    assert assignment.targets[0].at_most is not None
    assert assignment.targets[0].at_most.pass_ == 50_000


def test_json_becomes_a_record():
    assert decode_json(b'{"title": "TinyML"}', Course, "course.json") == Course(title="TinyML")


@pytest.mark.parametrize(
    ("line", "what", "fix"),
    [
        ("notebok: x", "there is no field called 'notebok'.", "did you mean 'notebook'?"),
        ("limits: {secnds: 3}", "there is no field called 'secnds' in limits.", "did you mean 'seconds'?"),
        ("limits: {processes: many}", "limits.processes must be a whole number, not text.", ""),
        ("limits: {processes: 2.5}", "limits.processes must be a whole number, not 2.5.", ""),
        (
            "limits: {seconds: 3e2}",
            "limits.seconds must be a number, not text.",
            "YAML reads '3e2' as text: write 300.",
        ),
        ("limits: {seconds: .nan}", "limits.seconds must be a finite number, not nan.", ""),
        ("limits: {processes: true}", "limits.processes must be a whole number, not true or false.", ""),
        ("chapter: 2027", "chapter must be text, not a whole number.", "put it in quotes."),
        ("chapter:", "chapter must be text, not empty.", ""),
        ("late: 3", "late must be a mapping, not a whole number.", ""),
        ("targets: {id: x}", "targets must be a list, not a mapping.", ""),
        ("yes: x", "the name True must be text.", "put it in quotes."),
        ("targets: [{id: x, points: 1}]", "the field 'metric' is missing in targets[0].", "add 'metric: ...'."),
        (
            "targets: [{id: x, metric: m, points: 1, data: hiden}]",
            "targets[0].data must be 'hidden' or 'public', not 'hiden'.",
            "did you mean 'hidden'?",
        ),
        (
            "targets: [{id: x, metric: m, points: 1, at_most: {pass_: 1, full: 2}}]",
            "there is no field called 'pass_' in targets[0].at_most.",
            "did you mean 'pass'?",
        ),
        ("due: soon", "due must be a time, not 'soon'.", "write it as 2027-02-12T23:59:00-05:00."),
        (
            "due: 2027-02-12",
            "due must be a time, not a date.",
            "write the time of day too, as in 2027-02-12T23:59:00-05:00.",
        ),
        (
            "due: 2027-02-12 10:00:00",
            "due is a time without a zone.",
            "write the offset from UTC too, as in 2027-02-12T10:00:00-05:00.",
        ),
    ],
)
def test_a_wrong_field_is_named_with_what_was_probably_meant(line: str, what: str, fix: str):
    error = refusal(BEGINNING + line)
    assert (error.what, error.fix) == (what, fix)


def test_a_wrong_value_under_a_free_name_is_found_by_that_name():
    text = "extensions: {quantize: {ada: 2027-02-12T10:00:00Z, bob: later}}"
    assert refusal(text, Course).what == "extensions.quantize.bob must be a time, not 'later'."


def test_a_time_without_zone_is_refused_in_quotes_and_in_json_too():
    assert refusal("extensions: {q: {ada: '2027-02-12T10:00:00'}}", Course).what.startswith(
        "extensions.q.ada is a time"
    )
    with pytest.raises(SpecError, match=r"extensions\.q\.ada is a time without a zone"):
        decode_json(b'{"extensions": {"q": {"ada": "2027-02-12T10:00:00"}}}', Course, "course.json")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file must be a mapping, not empty."),
        ("- 1", "the file must be a mapping, not a list."),
        (BEGINNING + "title: d", "line 4: 'title' is written twice in one mapping."),
        ("title: &t x\nterm: *t", "line 2: an alias (*name) cannot be used here."),
        ("[" * 1000, "is nested too deeply."),
        ("a: [", "is not YAML: line 1: expected the node content, but found '<stream end>'."),
        ("a: 1\n---\nb: 2", "is not YAML: line 2: but found another document."),
        ("due: 2027-13-45", "is not YAML: month must be in 1..12."),
        ("{[a]: 1}", "is not YAML: line 1: found unhashable key."),
        (b"\xff\xfe", "is not UTF-8 text."),
        (b"a: \x00", "is not YAML: unacceptable character #x0000: special characters are not allowed."),
        (b"#" * 1_000_001, "is larger than 1,000,000 bytes."),
    ],
)
def test_a_file_that_is_not_plain_yaml_is_refused_in_one_sentence(text: str | bytes, what: str):
    assert refusal(text).what == what


def test_yaml_cannot_make_python_objects():
    assert refusal("!!python/object/apply:os.system [ls]").what == "line 1: a tag (!!name) cannot be used here."


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"title": 1}', b"[" * 100_000, b'{"title": "\xff"}'])
def test_broken_json_is_refused_in_one_sentence(data: bytes):
    with pytest.raises(SpecError) as caught:
        decode_json(data, Course, "course.json")
    assert caught.value.what.endswith(".")
    assert "\n" not in caught.value.what


def test_binary_fields_come_out_of_json():
    finished = decode_json(b'{"returncode": 0, "stdout": "aGk=", "stderr": ""}', Finished, "finished.json")
    assert finished.stdout == b"hi"
