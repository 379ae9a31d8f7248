"""What crosses a wall, made up: values from functions, messages and frames from kernels, parcels from workers."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import strategies as st

from coursekit import course, grading, parcel, wire
from coursekit.errors import CourseError, StudentError
from coursekit.gradebook.names import accept
from coursekit.plainfile import plain_files, read_below, strange_entries
from coursekit.records import Assignment, Score, Submission
from coursekit.sandbox import messages
from coursekit.sandbox.kernel import Answer
from coursekit.sandbox.relay import Frames
from coursekit.wire import Array, Mismatch, Unsendable
from fuzzing import fuzzed
from made_up import EXTRA, JUNK, TEXTS, as_bytes, assert_one_sentence, damaged, near, record

# --- Values -----------------------------------------------------------------------------------------------------------

DTYPES = st.sampled_from(["float32", "float64", "int8", "uint64", "bool", "float16", "object", "<f4", "O", "U1"])
SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 2**31, 2**40, -1, 2**63]), max_size=18)
BASE64 = st.sampled_from(["", "AAAA", "AAAAAAAAAAA=", "AQID", "/w==", "@", "A" * 4_000])
ARRAY = st.tuples(near(DTYPES), near(SHAPES), near(BASE64))
VALUE = st.recursive(
    st.one_of(
        record(**{"$float": near(st.sampled_from(["nan", "inf", "-inf", "1"]))}),
        record(**{"$array": near(ARRAY)}),
        record(**{"$dict": JUNK}),
        JUNK,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), record(**{"$dict": record(a=inner, b=inner)})),
    max_leaves=6,
)
WIRED = [
    wire.encode(value)
    for value in (
        [np.zeros((2, 3), np.float32), 1.5, float("nan"), {"a": [True, None, "x"]}],
        np.array([True, False]),
        {"q": np.arange(5, dtype=np.int8), "scale": 0.05},
    )
]
EXPECTED = (
    *(
        float,
        int,
        bool,
        str,
        None,
        Array(),
        Array("float32", (2, None)),
        Array("int8", finite=False),
        [float],
        [Array()],
    ),
    *((int, float), (Array("int8"), float, int), {"a": float}, {"a": [int], "b": None}),
)


@fuzzed("values", st.one_of(VALUE.map(as_bytes), damaged(WIRED)), examples=300)
def test_a_value_from_a_student_s_function_is_one_of_ours_or_is_refused_in_words(data):
    try:
        value = wire.decode(data)
    except Unsendable as error:
        assert str(error).isprintable()  # noqa: PT017 - a value may also be right
        assert len(str(error)) < 200  # noqa: PT017 - likewise
        return
    again = wire.decode(wire.encode(value))
    assert wire.encode(again) == wire.encode(value)
    assert len(wire.describe(value)) < 300
    for expected in EXPECTED:
        try:
            wire.match(value, expected)
        except Mismatch as error:
            assert len(str(error)) < 500  # noqa: PT017 - a value may also be what is expected
        else:
            wire.scalars(value, expected)


# --- Messages ---------------------------------------------------------------------------------------------------------

HEADERS = record(
    msg_type=near(st.sampled_from(["stream", "error", "status", "display_data", "x"])), msg_id=JUNK, also=EXTRA
)
PARTS = st.one_of(
    st.just(b"<IDS|MSG>"),
    HEADERS.map(as_bytes),
    record(msg_id=near(TEXTS), also=EXTRA).map(as_bytes),
    JUNK.map(as_bytes),
    st.binary(max_size=40),
)
USUAL = st.tuples(
    st.just(b"<IDS|MSG>"),
    st.binary(max_size=4),
    HEADERS.map(as_bytes),
    record(msg_id=near(TEXTS)).map(as_bytes),
    st.just(b"{}"),
    JUNK.map(as_bytes),
)
SENT = st.one_of(st.lists(PARTS, max_size=9), USUAL.map(list))


def as_file(frames):
    return json.dumps([frame.decode("latin-1") for frame in frames], indent=1).encode()


def from_file(data):
    return [frame.encode("latin-1") for frame in json.loads(data)]


@fuzzed("messages", SENT, examples=300, write=as_file, read=from_file)
def test_frames_from_a_kernel_are_a_message_or_malformed(frames):
    try:
        message = messages.parse(frames)
    except messages.Malformed:
        return
    for kind in (messages.Stream, messages.Display, messages.Error, messages.State, Answer):
        try:
            messages.content(message, kind)
        except messages.Malformed:
            continue
    try:
        shown = messages.output(message)
    except messages.Malformed:
        return
    json.loads(json.dumps(shown))
    msgspec.json.decode(msgspec.json.encode(shown))


# --- Frames -----------------------------------------------------------------------------------------------------------

MOST = 1_000
SIZES = st.sampled_from([0, 1, 5, 254, 255, 256, 300, MOST - 1, MOST, MOST + 1])
STREAM = st.tuples(
    st.lists(st.tuples(st.integers(0, 255), SIZES), max_size=80), st.lists(st.integers(1, 700), min_size=1, max_size=8)
)
"""Flags and size of each frame, and the sizes of the parts in which the stream comes."""


def too_much(frames):
    """What ZMTP says of these frames, read whole: a message of more bytes, or of more frames, than may be."""
    size = count = 0
    for flags, length in frames:
        size, count = size + length, count + 1
        if size > MOST or count > 64:
            return True
        if not flags & 1:
            size = count = 0
    return False


@fuzzed("frames", STREAM, examples=150, write=lambda drawn: json.dumps(drawn).encode(), read=json.loads)
def test_the_size_of_a_message_is_known_however_its_bytes_come(drawn):
    frames, steps = drawn
    data = b"\xff" + bytes(63)
    for flags, length in frames:
        data += bytes([flags]) + length.to_bytes(8 if flags & 2 else 1, "big") if flags & 2 or length < 256 else b""
        data += bytes(length) if flags & 2 or length < 256 else b""
    follower, at, turn = Frames(MOST), 0, 0
    while at < len(data):
        follower.follow(data[at : at + steps[turn % len(steps)]])
        at, turn = at + steps[turn % len(steps)], turn + 1
    assert follower.too_much == too_much([each for each in frames if each[0] & 2 or each[1] < 256])


@fuzzed("frames-bytes", st.lists(st.binary(max_size=200), max_size=20), examples=60, write=as_file, read=from_file)
def test_any_bytes_are_followed_without_growing(parts):
    follower = Frames(MOST)
    for part in parts:
        follower.follow(part)
        assert len(follower._header) < 10


# --- Parcels ----------------------------------------------------------------------------------------------------------

ADA = Submission(student="ada", assignment="a", folder="")
GRADED = grading.Graded(
    score=Score(assignment="a", student="ada", status="scored", earned=1.0, possible=2.0),
    executed={"a": {"cells": []}},
    runs={"a": b"run"},
    log="said",
)
PACKED = [parcel.pack_graded(GRADED, ["a notice"])]


@fuzzed("parcels", st.one_of(damaged(PACKED), st.binary(max_size=60)), examples=200)
def test_what_a_worker_sends_back_is_a_score_of_that_submission_or_a_fault_that_costs_no_other(data):
    try:
        graded, notices = parcel.unpack_graded(data, ADA)
    except ValueError:
        return
    assert (graded.score.student, graded.score.assignment) == ("ada", "a")
    assert isinstance(notices, tuple)


@pytest.fixture(scope="module")
def work():
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "ada"
        (folder / "sub").mkdir(parents=True)
        (folder / "a.ipynb").write_bytes(b"{}")
        (folder / "sub" / "data.csv").write_bytes(b"1")
        (folder / "link").symlink_to("/etc/passwd")
        yield folder


EDITS = st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=6)), max_size=5)


def packed_work(folder):
    return parcel.pack_submission(Submission(student="ada", assignment="a", folder=str(folder)), {"a": b"run"})


@fuzzed(
    "submissions",
    EDITS,
    examples=150,
    write=lambda drawn: json.dumps([[at, piece.decode("latin-1")] for at, piece in drawn]).encode(),
    read=lambda data: [(at, piece.encode("latin-1")) for at, piece in json.loads(data)],
)
def test_a_submission_that_was_damaged_on_its_way_stays_in_its_folder(edits, work):
    data = bytearray(packed_work(work))
    for at, piece in edits:
        data[at : at + len(piece)] = piece
    with tempfile.TemporaryDirectory() as made:
        inner = Path(made) / "inner"
        inner.mkdir()
        with suppress(ValueError, OSError):
            parcel.unpack_submission(bytes(data), inner)
        assert [path.name for path in Path(made).iterdir()] == ["inner"]


# --- Names ------------------------------------------------------------------------------------------------------------

NAMES = st.one_of(
    TEXTS,
    st.sampled_from(
        ["..", ".", "a/b", "a\\b", "*", "[a]", "x" * 129, "x" * 5_000, "\udcff", "a\n", " a", "%2e%2e", "a\0"]
    ),
    st.lists(TEXTS, max_size=4).map("/".join),
)


def as_text(name):
    return name.encode("utf-8", "surrogatepass")


def from_text(data):
    return data.decode("utf-8", "surrogatepass")


@fuzzed("names", NAMES, examples=200, write=as_text, read=from_text)
def test_a_path_that_somebody_wrote_is_a_file_of_the_submission_or_a_sentence(path, work):
    try:
        data = read_below(work, path, 100)
    except StudentError as error:
        assert_one_sentence(error)
    else:
        assert data in (b"{}", b"1")
    assert set(plain_files(work, 1_000)) == {"a.ipynb", "sub/data.csv"}
    assert "link" in strange_entries(work)


@fuzzed("names", NAMES, examples=100, write=as_text, read=from_text)
def test_a_student_s_name_is_kept_or_refused_in_a_sentence(name):
    try:
        assert accept(name, "a student") == name
    except CourseError as error:
        assert_one_sentence(error)
    else:
        assert name.isprintable()
        assert Path(name).name == name
        course.score_file(Path("root"), name, "a").relative_to("root/scores")


def test_an_assignment_can_be_named_by_what_is_accepted():
    assert Assignment(name=accept("a", "an assignment"), title="", notebook="a.ipynb").name == "a"
