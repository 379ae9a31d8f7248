"""Command lines that nobody would type: a usage error or one sentence, never a traceback."""

import contextlib
import io
import json
import os
import tempfile
from pathlib import Path

import click
import pytest
from hypothesis import strategies as st

import courses
from coursekit import course, grading, parcel, planning
from coursekit.cli import cli
from coursekit.errors import CoursekitError
from coursekit.ingredients import run_key
from fuzzing import fuzzed
from made_up import assert_one_sentence

pytestmark = pytest.mark.box

WORDS = st.one_of(
    st.sampled_from(["doubling", "first", "ada", "..", ".", "", "/", "-", "--", "a" * 300, "é" * 200, "a" * 70_000]),
    st.sampled_from(
        ["../doubling", "a/b", "/etc/passwd", "*", "**", "[", "[!a]", "a?", "~", "$HOME", "%s", "{0}", "a\\b"]
    ),
    st.sampled_from(
        ["\x1b[2J", "a\nb", "\u202eabc", "\udcff", "a\udc80b", "\r", "\t", " ", "x\x7f", "nano33-ble-sense", "con"]
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=12),
)
OPTIONS = st.sampled_from(
    [
        "--json",
        "--dry-run",
        "--force",
        "--explain",
        "--diff",
        "--jobs",
        "--scheduler",
        "--sandbox",
        "--title",
        "-x",
        "--jobs=0",
    ]
)
COMMANDS = st.sampled_from(
    [
        line.split()
        for line in (
            "grade",
            "report",
            "report --diff",
            "release",
            "prove",
            "new --dry-run",
            "check",
            "measure",
            "profiles",
            "profiles show",
            "profiles fit",
            "grade --dry-run",
            "nothing",
            "measure --profile",
        )
    ]
)
LINES = st.tuples(COMMANDS, st.lists(st.one_of(WORDS, WORDS, OPTIONS), max_size=4)).map(
    lambda drawn: [*drawn[0], *drawn[1]]
)
LINES = LINES.filter(lambda line: line[0] != "prove" or "doubling" not in line)  # which would take its time
COURSELESS = {"check", "nothing"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A course that was released, and in which nobody has handed anything in; the folder in which commands run."""
    made = courses.released(courses.make(tmp_path_factory.mktemp("course")), "doubling")
    with contextlib.chdir(tmp_path_factory.mktemp("empty")):
        yield made


def as_file(words):
    return json.dumps(words).encode()


@fuzzed("commands", LINES, examples=80, write=as_file, read=json.loads)
def test_any_command_line_ends_in_an_answer_or_a_sentence(words, root):
    asked = words if words[0] in COURSELESS else [words[0], "--course", str(root), *words[1:]]
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            cli.main(asked, standalone_mode=False)
    except CoursekitError as error:
        assert_one_sentence(error)
    except click.ClickException as error:
        error.format_message().encode("utf-8", "replace")
    except click.exceptions.Exit:
        pass
    assert "Traceback" not in printed.getvalue()


@pytest.fixture(scope="module")
def plan(root):
    return planning.plan(root, planning.facts(root)[1], "doubling", "none")


def parcel_names(submission):
    """The files of a submission after it was sent to another machine."""
    with tempfile.TemporaryDirectory() as made:
        return course.handed_in(parcel.unpack_submission(parcel.pack_submission(submission, {}), Path(made)))


FILES = st.lists(
    st.binary(min_size=1, max_size=30).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"0")), max_size=4
)


@fuzzed("file-names", FILES, examples=12, write=b"\0".join, read=lambda data: data.split(b"\0"))
def test_a_submission_may_have_files_of_any_name(names, root, plan):
    folder = root / "submitted" / "ada" / "doubling"
    folder.mkdir(parents=True, exist_ok=True)
    made = [os.fsencode(folder) + b"/" + name for name in names if name not in (b".", b"..")]
    try:
        for path in made:
            with open(path, "wb") as file:  # noqa: PTH123 - a name of bytes
                file.write(b"x")
        (submission,) = course.submissions(root / "submitted", "doubling")
        depends = grading.ingredients(plan, submission)
        assert len(run_key(depends, "doubling")) == 64
        assert set(parcel_names(submission)) == set(course.handed_in(submission))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            cli.main(["grade", "doubling", "--dry-run", "--json", "--course", str(root)], standalone_mode=False)
        (decision,) = json.loads(printed.getvalue())["decisions"]
        assert decision["action"] == "run"
    finally:
        for path in set(made):
            os.unlink(path)  # noqa: PTH108 - likewise
        folder.rmdir()
        folder.parent.rmdir()
