"""What authors write, made up: a record, or one sentence with the file's name; never a traceback, never for long."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import strategies as st

import coursekit
from coursekit import profiles, specs
from coursekit.errors import SpecError
from coursekit.records import Assignment, Case, Course
from fuzzing import fuzzed
from made_up import EXTRA, JUNK, TEXTS, Raw, as_bytes, assert_one_sentence, damaged, near, record

PACKAGE = Path(coursekit.__file__).parent
ROOT = Path(__file__).parents[1]

# --- YAML that means something else than it says ----------------------------------------------------------------------

BOMB = "a: &a [x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)
TAGS = [
    *("!!int ''", "!!float ''", "!!bool foo", "!!timestamp foo", "!!null x", "!!map x", "!!seq x", "!!str {a: 1}"),
    *("!!set {x}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!binary '@'", "!!python/object:os.system {}", "!<x> 1", "!!"),
    *("!!python/object/apply:os.system ['true']", "!!python/name:os.system ''", "!x!y z", "!!int 0x", "!!float _"),
]
ODD = [
    *("&a [*a]", "&a {b: *a}", "*nobody", "&a 1", "<<: 3", "? [a]", "{? [a] : 1}", "=", "~", ".inf", ".nan", "-.inf"),
    *("2027-02-12", "2027-13-45", "2027-02-12T23:59:00", "2027-02-12T23:59:00+99:99", "9999-12-31T23:59:59-14:00"),
    *("0001-01-01T00:00:00+14:00", "0x" + "f" * 400, "-0x" + "f" * 400, "0b_", "0x_", "1_000", "1:99:1", "08", "1e9"),
    *("9" * 400, "-" + "9" * 400, "9" * 5_000, "'a\0b'", "[" * 60, "{a: " * 40 + "1" + "}" * 40, "[" * 40 + "]" * 40),
    *(
        '"\\ud800"',
        '"\\U00110000"',
        '"\\x1b[2J"',
        "|\n a\n b",
        "- a\n- b",
        "'",
        '"',
        "%YAML 9.9\n---",
        "--- b",
        "...",
        "@",
    ),
]
VALUES = st.one_of(JUNK, st.sampled_from([Raw(text) for text in (*TAGS, *ODD)]))


def nearly(right, odds=9):
    return near(right, junk=VALUES, odds=odds)


NUMBERS = st.one_of(st.integers(-3, 100), st.floats(-10, 1e6), st.sampled_from([0, 1, 10**6]))
WHEN = st.sampled_from([Raw("2027-02-12T23:59:00-05:00"), Raw("2027-02-12"), "2027-02-12T23:59:00Z"])
SLUGS = st.sampled_from(["a", "size", "size", "../a", "a b", ""])
BAND = record(**{"pass": nearly(NUMBERS), "full": nearly(NUMBERS)})
TARGET = record(
    id=nearly(SLUGS),
    metric=nearly(st.sampled_from(["file_bytes", "accuracy", "latency_ratio", ""])),
    points=nearly(NUMBERS),
    at_most=nearly(BAND),
    at_least=st.one_of(st.just(None), BAND),
    profile=nearly(SLUGS),
    data=nearly(st.sampled_from(["hidden", "public"])),
)
LIMITS = record(seconds=nearly(NUMBERS), memory_bytes=nearly(NUMBERS), processes=nearly(NUMBERS))
ARTIFACT = record(
    path=nearly(st.sampled_from(["m.tflite", "/m", "a/../b"])), max_bytes=nearly(NUMBERS), made_by=nearly(SLUGS)
)
ASSIGNMENTS = record(
    name=nearly(st.just("a")),
    title=nearly(TEXTS),
    notebook=nearly(st.just("a.ipynb")),
    due=nearly(WHEN),
    artifact=nearly(ARTIFACT),
    baseline=nearly(ARTIFACT, odds=2),
    limits=nearly(LIMITS),
    late=nearly(record(percent_per_day=nearly(NUMBERS), days=nearly(NUMBERS))),
    preload=nearly(st.lists(TEXTS, max_size=2)),
    targets=nearly(st.lists(nearly(TARGET), max_size=3)),
    also=EXTRA,
)
COURSES = record(
    title=nearly(TEXTS),
    term=nearly(TEXTS),
    gradebook=nearly(st.sampled_from(["sqlite:///gradebook.db", "x"])),
    late=nearly(record(percent_per_day=nearly(NUMBERS), days=nearly(NUMBERS))),
    extensions=nearly(record(a=nearly(record(ada=nearly(WHEN))), also=EXTRA)),
    also=EXTRA,
)
CASES = record(
    why=nearly(TEXTS),
    cells=nearly(record(answer=nearly(TEXTS), also=EXTRA)),
    earns=nearly(record(size=nearly(NUMBERS), also=EXTRA)),
    blocked=nearly(st.lists(TEXTS, max_size=2)),
    also=EXTRA,
)
TEXT = "name: a\ntitle: A\nnotebook: a.ipynb\n"


def real(pattern):
    found = [path.read_bytes() for path in sorted(ROOT.glob(pattern))]
    assert found
    return [*found, BOMB.encode()]


def drawn(made, pattern):
    line = st.sampled_from([*TAGS, *ODD]).map(lambda odd: f"{TEXT}limits: {odd}\n".encode())
    return st.one_of(made.map(as_bytes), damaged(real(pattern)), line)


def decoded(reader, kind, data, where, *more):
    """A record of this kind, or a sentence that begins with the file's name."""
    try:
        found = reader(data, where, *more)
    except SpecError as error:
        assert_one_sentence(error)
        assert error.where == where  # noqa: PT017 - a file may also be right
        return
    assert isinstance(found, kind)


@fuzzed("yaml", drawn(ASSIGNMENTS, "assignments/*/assignment.yaml"), examples=250, weight=2)
def test_an_assignment_yaml_is_facts_or_a_sentence_with_its_path(data):
    decoded(specs.assignment, Assignment, data, "assignments/a/assignment.yaml", "a")


@fuzzed("yaml", drawn(COURSES, "assignments/course.yaml"), examples=150)
def test_a_course_yaml_is_facts_or_a_sentence_with_its_path(data):
    decoded(specs.course, Course, data, "assignments/course.yaml")


@fuzzed("yaml", drawn(CASES, "autograder/*/wrong/*.yaml"), examples=150)
def test_a_known_wrong_answer_is_one_or_a_sentence_with_its_path(data):
    decoded(specs.case, Case, data, "autograder/a/wrong/case.yaml")


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


BOARDS = [*PACKAGE.glob("profiles/*.yaml")]
assert BOARDS


@fuzzed("yaml", damaged([path.read_bytes() for path in sorted(BOARDS)] + [BOMB.encode()]), examples=80, weight=2)
def test_a_profile_is_a_board_or_a_sentence_with_its_file(data, folder):
    (folder / "mine.yaml").write_bytes(data)
    decoded(lambda *_: profiles.load("mine", [folder]), profiles.Profile, data, "mine.yaml")
