"""Told to stop, in every phase: a clean end, a sentence, the exit code of shells, and the next grading finishes."""

import json
import os
import pty
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

import courses
import models
import struck
from coursekit import notebook
from struck import NAME

pytestmark = pytest.mark.box

FULL = 6.0


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Where the check of this class finds out whether it is to wait, and says that it does."""
    return tmp_path_factory.mktemp("flags")


@pytest.fixture(scope="module")
def template(tmp_path_factory, flags):
    root = tmp_path_factory.mktemp("template") / "course"
    return struck.graded(root, checks={"fault": 1}, hidden={"test_faults.py": struck.faults(flags)})


@pytest.fixture
def root(template, tmp_path):
    root = courses.copy(template, tmp_path)
    courses.submit(root, "bob")
    courses.submit(root, "cyd", {"answer": struck.SLEEPS})
    return root


@pytest.fixture
def grading(root, tmp_path):
    """`coursekit grade`, begun."""
    with struck.running(tmp_path, "grade", NAME, "--course", str(root), "--jobs", "1") as process:
        yield process


def stopped(process, folder, code=128 + signal.SIGTERM):
    """It ended as told, and said so."""
    done = struck.ended(process, folder)
    assert (done.code, done.err.splitlines()[-1:]) == (code, ["Stopped. What was finished is kept."])
    return done


def finishes(root, kept):
    """The next grading does what is left, and nothing that is done."""
    done = struck.finishes(root, dict.fromkeys(("ada", "bob", "cyd"), FULL), kept)
    assert {student for student, action in done.items() if action != "run"} == set(kept)


# --- Each phase of grading --------------------------------------------------------------------------------------------


def test_before_the_first_box(grading, root, tmp_path):
    (command, *_) = struck.named(grading, "grade")
    while (root / ".kept" / "lock").read_text() != str(command.pid):
        assert grading.poll() is None
    command.terminate()
    stopped(grading, tmp_path)
    finishes(root, ["ada"])


def test_while_interpreters_are_warmed(grading, root, tmp_path):
    struck.named(grading, "coursekit.warm.zygote")
    struck.below(grading)[0].terminate()
    stopped(grading, tmp_path)
    finishes(root, ["ada"])


def test_while_a_notebook_runs(grading, root, tmp_path):
    while "bob" not in grading.stderr.readline():
        assert grading.poll() is None
    struck.named(grading, "bwrap")
    struck.below(grading)[0].terminate()
    stopped(grading, tmp_path)
    assert struck.score(root, "bob").earned == FULL
    assert struck.score(root, "cyd") is None
    finishes(root, ["ada", "bob"])


def test_while_checks_are_asked(root, flags, tmp_path):
    courses.submit(root, "dan", {"answer": "# fault: wait\ndef double(x):\n    return 2 * x"})
    (flags / "on").touch()
    with struck.running(tmp_path, "grade", NAME, "dan", "--course", str(root)) as process:
        struck.exists(process, flags / "asked")
        struck.below(process)[0].terminate()
        (flags / "on").unlink()
        stopped(process, tmp_path)
    (flags / "asked").unlink()
    courses.grade(root, "dan")
    assert struck.score(root, "dan").earned == FULL


MANY_ROWS = courses.SHRINK_DATA.replace("size=(50, 4)", "size=(100_000, 4)")


def test_while_a_model_is_measured(tmp_path):
    """Two boxes stand then: that of the notebook, and that of the model."""
    cells = (courses.answer_cell("export", courses.writes(courses.MODEL)),)
    options = {"facts": courses.SHRINK_FACTS, "cells": cells, "checks": {"size": 4, "accuracy": 3}}
    root = struck.graded(tmp_path / "course", hidden={"hidden.py": MANY_ROWS}, **options)
    courses.submit(root, "bob")
    with struck.running(tmp_path, "grade", NAME, "--course", str(root)) as process:
        struck.named(process, "bwrap", 4)
        struck.below(process)[0].terminate()
        stopped(process, tmp_path)
    assert struck.score(root, "bob") is None
    assert struck.finishes(root, {"ada": 12.0, "bob": 12.0}) == {"ada": "keep", "bob": "run"}


def test_while_the_gradebook_is_written(grading, root, tmp_path):
    """Somebody reads it meanwhile, so that the batch is written and cannot be finished until they are done."""
    with closing(sqlite3.connect(root / "gradebook.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM grade").fetchone()
        struck.exists(grading, root / "gradebook.db-journal")
        struck.below(grading)[0].terminate()
        reader.execute("ROLLBACK")
    stopped(grading, tmp_path)
    assert struck.score(root, "bob").earned == FULL
    done = struck.finishes(root, dict.fromkeys(("ada", "bob", "cyd"), FULL))
    assert done["bob"] in ("keep", "record", "check")  # its notebook has run


def test_while_the_report_is_written(root, tmp_path):
    courses.grade(root)
    before = {student: struck.held(root, student) for student in ("ada", "bob", "cyd")}
    with struck.running(tmp_path, "report", NAME, "--course", str(root)) as process:
        struck.exists(process, root / "feedback" / "ada" / NAME)
        struck.below(process)[0].terminate()
        stopped(process, tmp_path)
    assert {student: struck.held(root, student) for student in before} == before
    assert [path.name for path in (root / "feedback").rglob(".*")] == []
    assert struck.ran(tmp_path, "report", NAME, "--course", str(root)).code == 0
    pages = (root / "feedback").glob(f"*/{NAME}/score.html")
    assert {page.parent.parent.name for page in pages} == set(before)


# --- Whoever sends it, and to whom ------------------------------------------------------------------------------------


def test_by_a_scheduler_that_ends_every_process_there_is(grading, root, tmp_path):
    """As a machine that shuts down does: the student's kernel and the trusted process are told too."""
    while "bob" not in grading.stderr.readline():
        assert grading.poll() is None
    struck.named(grading, "bwrap")
    for each in struck.below(grading):
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    stopped(grading, tmp_path)
    cyd = struck.score(root, "cyd")
    assert cyd is None or cyd.status == "unscored"
    finishes(root, ["ada", "bob"])


def test_by_a_terminal_that_is_closed(root, tmp_path):
    ours, theirs = pty.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    words = ("grade", NAME, "--course", str(root))
    with struck.running(tmp_path, *words, before=["setsid", "--ctty"], **streams) as process:
        os.close(theirs)
        struck.named(process, "bwrap")
        os.close(ours)
        assert struck.ended(process, tmp_path).code == 128 + signal.SIGHUP
    finishes(root, ["ada"])


def test_who_started_it_with_nohup_is_not_disturbed_by_a_terminal_that_is_closed(root, tmp_path):
    with struck.running(tmp_path, "grade", NAME, "--course", str(root), before=["nohup"]) as process:
        struck.named(process, "bwrap")
        struck.below(process)[0].send_signal(signal.SIGHUP)
        assert struck.ended(process, tmp_path).code == 0
    assert struck.score(root, "cyd").earned == FULL


def test_twice_is_as_once(grading, root, tmp_path):
    struck.named(grading, "bwrap")
    command = struck.below(grading)[0]
    for _ in range(20):
        command.terminate()
    stopped(grading, tmp_path)
    finishes(root, ["ada"])


# --- Other commands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sandbox", ["bwrap", "none"])
def test_a_student_s_own_check(root, tmp_path, sandbox):
    """Without a sandbox what it writes lies in a folder of this machine, which goes too."""
    folder = root / "release" / NAME
    place = tmp_path / "place"
    answer = f"import os, time\nopen({str(place)!r}, 'w').write(os.getcwd())\ntime.sleep(60)"
    cells = {"answer": answer if sandbox == "none" else "import time\ntime.sleep(60)"}
    data = notebook.replace_sources(courses.reference(root, NAME), cells)
    (folder / f"{NAME}.ipynb").write_text(json.dumps(data))
    with struck.running(tmp_path, "check", str(folder), "--sandbox", sandbox) as process:
        if sandbox == "none":
            struck.exists(process, place)
        else:
            struck.named(process, "ipykernel")
        struck.below(process)[0].terminate()
        stopped(process, tmp_path)
    assert not place.exists() or not Path(place.read_text()).parent.exists()


def test_a_proof(root, tmp_path):
    with struck.running(tmp_path, "prove", NAME, "--course", str(root)) as process:
        struck.named(process, "bwrap", 3)
        struck.below(process)[0].terminate()
        stopped(process, tmp_path)


def test_measuring(tmp_path):
    (tmp_path / "model.tflite").write_bytes(models.digit_reader())
    with struck.running(tmp_path, "measure", str(tmp_path / "model.tflite")) as process:
        struck.named(process, "bwrap")
        struck.below(process)[0].terminate()
        stopped(process, tmp_path)
