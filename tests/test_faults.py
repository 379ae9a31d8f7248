"""Never lost: whatever ends a grader, and whenever, the next one finishes, once for each, and marks of people stay.

Boxes are slow and the writing is what is at stake, so the submissions are run once, for real; the trials keep those
results again and again, in processes that are killed at each place where something is written, or run out of disk.
"""

import ctypes
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from nbgrader.api import Gradebook as TheirGradebook
from sqlalchemy import event
from sqlalchemy.engine import Engine

import courses
from coursekit import batch, course, gradebook, grading, planning, sandbox, shelf
from coursekit.errors import GradebookError, StorageError
from coursekit.gradebook import database

pytestmark = pytest.mark.box

NAME = "doubling"
MARK = 4.0
PAGE = 4096
WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod"}
STATEMENTS = ("\nCREATE", "CREATE", "INSERT", "UPDATE", "DELETE")

# --- The class: ada was graded and marked, her checks have changed, bob has just handed in ----------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in memory where there is one: what is written a thousand times need not reach a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        dir=memory if os.access(memory, os.W_OK) else tmp_path_factory.getbasetemp()
    ) as at:
        yield Path(at)


@pytest.fixture(scope="module")
def world(place):
    root = courses.released(courses.make(place / "course"), NAME)
    courses.submit(root, "ada")
    courses.grade(root, box="none")
    with TheirGradebook(f"sqlite:///{root}/gradebook.db") as book:
        grade = book.find_grade("why", NAME, NAME, "ada")
        grade.manual_score, grade.needs_manual_grade = MARK, False
        book.db.commit()
    file = root / "autograder" / NAME / f"test_{NAME}.py"
    file.write_text(file.read_text().replace("2 * x)", "3 * x)"))
    courses.submit(root, "bob", {"answer": "def double(x):\n    return 3 * x"})
    course_facts, settings = planning.facts(root)
    plan = planning.plan(root, settings, NAME, "none")
    made = SimpleNamespace(root=root, settings=settings, facts=course_facts, plan=plan, runs=0)
    made.template = Path(shutil.copytree(root, root.with_name("template")))
    with batch._desk(root, NAME, "none") as (_, desk):
        submissions = course.submissions(settings.submitted, NAME)
        made.results = {each.student: grading.grade(desk.plan, each, threading.Event()) for each in submissions}
    return made


@pytest.fixture
def replayed(world, monkeypatch):
    """Grading gives the results that were made before, from the plan that was made before."""

    def grade(_plan, submission, _stop):
        world.runs += 1
        return world.results[submission.student]

    monkeypatch.setattr(grading, "grade", grade)
    monkeypatch.setattr(planning, "plan", lambda *_: world.plan)
    monkeypatch.setattr(sandbox, "require", lambda _: None)
    monkeypatch.setattr(planning, "facts", lambda _: (world.facts, world.settings))
    return world


def afresh(world):
    """The class as it was before, in its place."""
    shutil.rmtree(world.root, ignore_errors=True)
    shutil.copytree(world.template, world.root, dirs_exist_ok=True)


def grade(world):
    return {score.student: score for score in courses.grade(world.root, box="none", jobs=1).values()}


def refuse_what_is_not_whole(world):
    """One plain grading must finish what a fault left, and leave nothing for another."""
    scores = grade(world)
    assert {student: score.earned for student, score in scores.items()} == {"ada": 2.0, "bob": 3.0}
    with TheirGradebook(f"sqlite:///{world.root}/gradebook.db") as book:
        held = [(each.student.id, each.score) for each in book.find_assignment(NAME).submissions]
        mark = book.find_grade("why", NAME, NAME, "ada").manual_score
    assert sorted(held) == [("ada", 2.0 + MARK), ("bob", 3.0)]
    assert mark == MARK
    assert {each.action for each in batch.foresee(world.root, NAME, box="none")} == {"keep"}
    names = [path.name for path in world.root.rglob(".*")]
    assert [name for name in names if name not in (".kept", ".seed", ".gitignore")] == []
    for student in ("ada", "bob"):
        assert json.loads((world.root / "autograded" / student / NAME / f"{NAME}.ipynb").read_text())["cells"]


def in_a_child(act):
    """Run in a process of its own: how it ended, and what it told."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads, which do nothing here
        child = os.fork()
    if not child:
        try:
            os.write(writing, str(act()).encode())
        except BaseException:  # noqa: BLE001 - a child must never come back into pytest
            os.write(writing, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        said = told.read().decode()
    return os.waitpid(child, 0)[1], said


# --- kill -9 ----------------------------------------------------------------------------------------------------------


def killed_at(act, root, place):
    """Act, and be killed just before the course is written to for the `place`-th time; how often it was, if never."""
    count = 0

    def write():
        nonlocal count
        count += 1
        if count == place:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(name, arguments):
        if name in WRITES or (name == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            path = str(arguments[0])
            if path.startswith(str(root)) or not path.startswith("/"):
                write()

    def execute(_connection, _cursor, statement, *_):
        if statement.startswith(STATEMENTS):
            write()

    event.listen(Engine, "before_cursor_execute", execute)
    event.listen(Engine, "commit", lambda _: write())
    sys.addaudithook(hear)
    act()
    return count


def test_a_grader_that_is_killed_at_any_write_loses_nothing(replayed):
    again = partial(grade, replayed)
    afresh(replayed)
    status, said = in_a_child(lambda: killed_at(again, replayed.root, 0))
    assert (status, said.isdigit()) == (0, True), said
    assert int(said) > 60
    for place in range(1, int(said) + 1):
        afresh(replayed)
        status, said = in_a_child(lambda place=place: killed_at(again, replayed.root, place))
        assert status == signal.SIGKILL, f"{place}: {said}"
        refuse_what_is_not_whole(replayed)


def test_a_seed_and_a_gradebook_are_made_whole_or_not_at_all(place):
    def make():
        database.prepare(f"sqlite:///{root}/gradebook.db")
        return course.seed(root, NAME)

    root, ways = place / "empty", []
    while not ways or ways[-1] == signal.SIGKILL:
        shutil.rmtree(root, ignore_errors=True)
        (root / "autograder" / NAME).mkdir(parents=True)
        status, said = in_a_child(lambda: killed_at(make, root, len(ways) + 1))
        ways.append(status)
        assert len(make()) == 32
        with closing(sqlite3.connect(root / "gradebook.db")) as book:
            tables = {name for (name,) in book.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert {"assignment", "grade", "alembic_version"} <= tables
    assert (ways[-1], said.isdigit()) == (0, True), said
    assert len(ways) > 20


def test_the_scratch_of_a_dead_grader_is_removed_and_that_of_a_living_one_stays():
    def die():
        with shelf.scratch() as made:
            (made / "task.json").write_text("a seed")
            os.write(told, str(made).encode())
            os.kill(os.getpid(), signal.SIGKILL)

    reading, told = os.pipe()
    assert in_a_child(die)[0] == signal.SIGKILL
    abandoned = Path(os.read(reading, 1000).decode())
    os.close(reading)
    os.close(told)
    with shelf.scratch() as living:
        assert abandoned.is_dir()
        shelf.sweep_scratch(older=0)
        assert (abandoned.exists(), living.exists()) == (False, True)


def is_bubblewrap(process):
    try:
        return process.name() == "bwrap"
    except psutil.NoSuchProcess:
        return False


def test_a_killed_command_leaves_no_box_and_its_finished_scores(tmp_path):
    root = courses.released(courses.make(tmp_path), NAME)
    courses.submit(root, "ada")
    courses.submit(root, "bob", {"answer": "import time\ntime.sleep(2)\ndef double(x):\n    return 2 * x"})
    words = [str(Path(sys.executable).with_name("coursekit")), "grade", NAME, "--course", str(root), "--jobs", "1"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert "ada" in process.stderr.readline()
        grader, below = psutil.Process(process.pid), []
        while not any(is_bubblewrap(each) for each in below):
            assert process.poll() is None
            below = grader.children(recursive=True)
        process.kill()
    assert psutil.wait_procs(below, timeout=10)[1] == []
    done = []
    scores = courses.grade(root, explain=done.extend)
    assert [each.student for each in done] == ["ada", "bob"]
    assert done[0].action in ("keep", "check")  # the gradebook had her score by then, or it waited for its batch
    assert done[1].action == "run"
    assert [score.earned for score in scores.values()] == [5.0, 5.0]


# --- A full disk ------------------------------------------------------------------------------------------------------

CLONE_NEWNS, CLONE_NEWUSER, MS_PRIVATE_REC = 0x20000, 0x10000000, 0x44000


def small_disk(place, size):
    """Mount a disk of this size at `place`, for this process alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    user = (os.getuid(), os.getgid())
    if libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if user[0] else 0)):
        raise OSError(ctypes.get_errno(), "unshare")
    if user[0]:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user[0]} {user[0]} 1")
        Path("/proc/self/gid_map").write_text(f"{user[1]} {user[1]} 1")
    if libc.mount(None, b"/", None, MS_PRIVATE_REC, None):
        raise OSError(ctypes.get_errno(), "mount")
    if libc.mount(b"tmpfs", str(place).encode(), b"tmpfs", 0, f"size={size}".encode()):
        raise OSError(ctypes.get_errno(), "mount")


def fill(place, left):
    """Fill the disk until so many pages are free."""
    file = place / "ballast"
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    file.write_bytes(bytes(free - left * PAGE))
    return file


def graded_on_full_disks(world):
    """Grade with ever more room, from none to enough; how many gradings were stopped by a full disk."""
    world.root.mkdir(exist_ok=True)
    small_disk(world.root, 8_000_000)
    stopped = 0
    for left in range(100):
        for path in world.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        afresh(world)
        ballast = fill(world.root, left)
        try:
            grade(world)
        except (StorageError, GradebookError) as error:
            assert "disk is full" in str(error), error  # noqa: PT017 - it is raised or not, as the room is
            stopped += 1
        else:
            return stopped
        finally:
            ballast.unlink()
        refuse_what_is_not_whole(world)
    return "never enough"


def test_a_full_disk_stops_the_grading_with_a_sentence_and_loses_nothing(replayed):
    shutil.rmtree(replayed.root)
    status, said = in_a_child(lambda: graded_on_full_disks(replayed))
    assert (status, said.isdigit()) == (0, True), said
    assert int(said) >= 10


def test_a_full_disk_leaves_the_old_file_whole(tmp_path):
    def write():
        small_disk(tmp_path, 100 * PAGE)
        file = tmp_path / "score.json"
        course.write(file, b"old")
        fill(tmp_path, 2)
        try:
            course.write(file, bytes(10 * PAGE))
        except StorageError as error:
            return [error.what, error.fix, file.read_bytes(), [path.name for path in tmp_path.iterdir()]]

    _, said = in_a_child(write)
    what, fix = "it cannot be written: the disk is full.", "free some space, and run this again"
    assert said == str([what, fix, b"old", ["ballast", "score.json"]]) or said == str(
        [what, fix, b"old", ["score.json", "ballast"]]
    )


# --- A gradebook that somebody else writes to -------------------------------------------------------------------------


def test_a_locked_gradebook_stops_the_grading_with_a_sentence_and_loses_nothing(replayed):
    afresh(replayed)
    with closing(sqlite3.connect(replayed.root / "gradebook.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(GradebookError, match="another program is writing to it"):
            grade(replayed)
    refuse_what_is_not_whole(replayed)


def test_a_class_whose_gradebook_is_thrown_away_between_two_students_is_whole_in_the_end(replayed):
    afresh(replayed)
    with closing(sqlite3.connect(replayed.root / "gradebook.db")) as other:
        before = "\n".join(other.iterdump())
    grade(replayed)
    (replayed.root / "gradebook.db").unlink()
    with closing(sqlite3.connect(replayed.root / "gradebook.db")) as other:
        other.executescript(before)  # a backup of yesterday: ada's old points, her mark, no bob
    runs = replayed.runs
    refuse_what_is_not_whole(replayed)
    assert replayed.runs == runs
    assert gradebook.settings(replayed.root).db_url.endswith("gradebook.db")
