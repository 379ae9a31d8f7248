"""The gradebook in a real PostgreSQL server, made for these tests and gone after them."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path

import nbgrader
import psycopg
import pytest
from nbformat import v4
from nbgrader.api import Gradebook as TheirGradebook

import courses
from coursekit import batch, gradebook
from coursekit.errors import GradebookError
from coursekit.records import Check, Score

pytestmark = pytest.mark.box

EXAMPLE = Path(nbgrader.__file__).parent / "docs" / "source" / "user_guide"
PASSWORD = "pass-of-the-test"
DUE = datetime(2027, 2, 12, 23, 59, tzinfo=UTC)


class Server:
    """A PostgreSQL server on loopback, with its data and its socket in a folder of its own."""

    def __init__(self, programs, folder):
        self.programs, self.folder, self.data = programs, folder, folder / "data"
        # PostgreSQL refuses to run as root; the distribution's package makes this user for it.
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def call(self, program, *arguments):
        command = [self.programs / program, *arguments]
        # Into a file, not a pipe: the server that pg_ctl leaves behind would hold a pipe open.
        with (self.folder / "log").open("a") as log:
            done = subprocess.run(
                command, cwd=self.folder, stdout=log, stderr=log, check=False, timeout=120, **self.user
            )
        assert done.returncode == 0, (self.folder / "log").read_text()

    def make(self):
        word = self.folder / "password"
        word.write_text(PASSWORD)
        if self.user:
            for path in (self.folder, word):
                shutil.chown(path, "postgres", "postgres")
        who = ["--username=teacher", f"--pwfile={word}", "--auth=scram-sha-256"]
        self.call("initdb", f"--pgdata={self.data}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", *who)

    def start(self):
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self.call("pg_ctl", f"--pgdata={self.data}", "--wait", f"--options={options}", "start")

    def stop(self):
        """Stop the process whose id the server wrote into its own folder, and no other."""
        self.call("pg_ctl", f"--pgdata={self.data}", "--wait", "--mode=immediate", "stop")

    def url(self, database, *, user="teacher", password=PASSWORD):
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="module")
def server():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [shutil.which("initdb")]
    if found[-1] is None:
        pytest.fail("There is no PostgreSQL server here. Install the package: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:  # short: a socket's path has 107 characters
        made = Server(Path(found[-1]).parent, Path(folder))
        made.make()
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def course(server, tmp_path):
    """nbgrader's example course, with a database of its own in the server."""
    root = tmp_path / "course"
    shutil.copytree(EXAMPLE / "source", root / "source", ignore=shutil.ignore_patterns("ps1_autotest"))
    name = f"marks_{uuid.uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    (root / "nbgrader_config.py").write_text(
        f"c = get_config()\nc.CourseDirectory.db_url = '{server.url(name)}'\n"
        "c.IncludeHeaderFooter.header = 'source/header.ipynb'\n"
    )
    return gradebook.settings(root)


def answered(cells):
    """Every notebook with an answer in each cell that takes one."""
    done = {}
    for stem, graded in cells.items():
        new = []
        for cell in graded:
            kind = v4.new_code_cell if cell.cell_type == "code" else v4.new_markdown_cell
            made = kind(cell.source if cell.locked else "42")
            made.metadata["nbgrader"] = {"grade_id": cell.id}
            if cell.cell_type == "code":
                made.execution_count = 1
            new.append(made)
        done[stem] = v4.new_notebook(cells=new)
    return json.loads(json.dumps(done))


def score(earned, student="ada"):
    checks = (Check(id="correct_squares", sentence="", outcome="passed", points=1.0, earned=earned),)
    return Score(assignment="ps1", student=student, status="scored", earned=earned, possible=13.0, checks=checks)


def test_a_course_is_released_recorded_and_reported_in_postgresql(course, tmp_path):
    gradebook.release(course, "ps1", due=DUE)
    gradebook.release(course, "ps1", due=DUE)
    cells = gradebook.cells(course, "ps1")
    done = answered(cells)
    with gradebook.Gradebook(course) as book:
        for student in ("ada", "bob"):
            book.record(score(0.5, student), cells, done, DUE)
        book.record(score(1.0), cells, done, DUE, penalties={"problem1": 0.25})
        assert book.late_penalty("bob", "ps1") == {"problem1": 0.0, "problem2": 0.0}
        totals = book.totals("ps1")
        assert (totals["ada"].points, totals["ada"].penalty, totals["ada"].possible) == (1.0, 0.25, 13.0)
        assert (totals["bob"].points, totals["bob"].waiting) == (0.5, True)
        assert [student.id for student in book.students()] == ["ada", "bob"]
    submission = tmp_path / "submission"
    submission.mkdir()
    gradebook.write_autograded(course, "ada", "ps1", done, submission)
    page = gradebook.write_feedback(course, "ada", "ps1") / "problem1.html"
    assert "Score: 0.75 / 10.0" in page.read_text()


def test_marks_in_postgresql_survive_a_regrade(course):
    cells = gradebook.cells(course, "ps1")
    done = answered(cells)
    with gradebook.Gradebook(course) as book:
        book.record(score(0.5), cells, done, DUE)
    with TheirGradebook(course.db_url) as theirs:
        grade = theirs.find_grade("part-a", "problem2", "ps1", "ada")
        grade.manual_score, grade.extra_credit = 0.75, 1.0
        theirs.db.commit()
    with gradebook.Gradebook(course) as book:
        book.record(score(1.0), cells, done, DUE)
        assert book.marks("ps1") == {"ada": {"part-a": 0.75}}
        assert book.totals("ps1")["ada"].points == 2.75


def test_a_wrong_password_is_told_and_never_shown(course, server):
    secret = "another-secret"
    config = course.root / "nbgrader_config.py"
    config.write_text(f"c = get_config()\nc.CourseDirectory.db_url = '{server.url('marks', password=secret)}'\n")
    with pytest.raises(GradebookError, match="refuses the user") as error:
        gradebook.release(gradebook.settings(course.root), "ps1")
    assert secret not in f"{error.value} {error.value.fix}"
    assert "teacher:***@127.0.0.1" in error.value.where


def test_a_database_that_is_not_in_the_server_is_told(course, server):
    (course.root / "nbgrader_config.py").write_text(
        f"c = get_config()\nc.CourseDirectory.db_url = '{server.url('nowhere')}'\n"
    )
    with pytest.raises(GradebookError, match="no such database") as error:
        gradebook.cells(gradebook.settings(course.root), "ps1")
    assert "createdb" in error.value.fix


def test_a_server_that_stops_is_told_and_the_next_try_works_once_it_is_back(course, server):
    cells = gradebook.cells(course, "ps1")
    done = answered(cells)
    with gradebook.Gradebook(course) as book:
        book.record(score(0.5), cells, done, DUE)
        server.stop()
        try:
            with pytest.raises(GradebookError, match="went away"):
                book.record(score(1.0), cells, done, DUE)
            with pytest.raises(GradebookError, match="no server answers"):
                book.record(score(1.0), cells, done, DUE)
        finally:
            server.start()
        book.record(score(1.0), cells, done, DUE)
        assert book.totals("ps1")["ada"].points == 1.0


def test_a_connection_that_is_lost_between_two_students_loses_no_score(server, tmp_path):
    """The server drops the grader's connection once ada is done and waits for her batch; the next grading finishes."""
    name, root = f"marks_{uuid.uuid4().hex}", courses.make(tmp_path)
    with psycopg.connect(server.url("postgres"), autocommit=True) as other:
        other.execute(f"CREATE DATABASE {name}")
        (root / "assignments" / "course.yaml").write_text(f"gradebook: {server.url(name)}\n")
        courses.released(root, "doubling")
        for student in ("ada", "bob"):
            courses.submit(root, student)

        def lose(_student, score):
            if score is not None:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

        with pytest.raises(GradebookError, match="went away"):
            batch.grade_class(root, "doubling", box="none", jobs=1, progress=lose)
    done = []
    scores = courses.grade(root, box="none", explain=done.extend)
    assert [each.student for each in done] == ["ada", "bob"]
    assert done[0].action == "check"  # her notebook is not run again
    assert {student: score.earned for student, score in scores.items()} == {"ada": 5.0, "bob": 5.0}
    with TheirGradebook(server.url(name).replace("postgresql:", "postgresql+psycopg:")) as book:
        assert {each.student.id: each.score for each in book.find_assignment("doubling").submissions} == {
            "ada": 5.0,
            "bob": 5.0,
        }
