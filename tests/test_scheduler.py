"""Grading on other machines: a real scheduler and real workers on this one, told nothing of where the course lies."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import courses
import jobs
from coursekit import course, gradebook
from coursekit.errors import MachineError, ToolError
from coursekit.pool.cluster import Cluster, Lost

pytestmark = pytest.mark.box

NAME = "doubling"
COMMAND = str(Path(sys.executable).with_name("coursekit"))
TESTS = str(Path(__file__).parent)


def started(*words, folder):
    """A process of dask's, in a folder of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *words],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": TESTS, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1", "TMPDIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process, pattern):
    """Wait for a line with this in it; what it matched."""
    for line in process.stderr:
        found = re.search(pattern, line)
        if found:
            return found[0]
    raise AssertionError(f"it ended with {process.wait()}")


@contextmanager
def ending(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@contextmanager
def worker(address, folder, *words):
    folder.mkdir(exist_ok=True)
    words = [address, "--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder), *words]
    with ending(started("worker", *words, folder=folder)) as process:
        said(process, "Registered to")
        yield process


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scheduler")
    words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with ending(started(*words, folder=folder)) as process:
        yield said(process, r"tcp://127\.0\.0\.1:\d+")


@pytest.fixture(scope="module")
def steady(address, tmp_path_factory):
    """A worker that is there for all tests."""
    with worker(address, tmp_path_factory.mktemp("steady")) as process:
        yield process


# --- A class ----------------------------------------------------------------------------------------------------------

WRONG = "def double(x):\n    return x"
READS = "def double(x):\n    return int(open('factor.txt').read()) * x"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return courses.released(courses.make(tmp_path_factory.mktemp("course")), NAME)


def class_of_six(released, folder):
    root = courses.copy(released, folder)
    courses.submit(root, "ada", files={"timestamp.txt": "2027-02-12 12:00:00.5 UTC\n"})
    courses.submit(root, "ben", {"answer": WRONG})
    courses.submit(root, "cyd", {"answer": READS}, files={"factor.txt": "2"})
    courses.submit(root, "dot", data=b"no notebook")
    courses.submit(root, "eve", {"answer": "raise SystemExit"})
    (root / "submitted" / "fay" / NAME).mkdir(parents=True)
    (root / "submitted" / "fay" / NAME / f"{NAME}.ipynb").symlink_to("/etc/passwd")
    return root


@pytest.fixture(scope="module")
def here(released, tmp_path_factory):
    """The class as this machine grades it."""
    root = class_of_six(released, tmp_path_factory.mktemp("here"))
    courses.grade(root)
    return root


def as_kept(root):
    """Every score.json without what a run used, which no two runs share."""
    used = r'"(wall_seconds|cpu_seconds|peak_memory_bytes)": [0-9.]+'
    texts = {path.parent.parent.name: path.read_text() for path in root.glob(f"scores/*/{NAME}/score.json")}
    return {student: re.sub(used, "", text) for student, text in texts.items()}


def points(root):
    with gradebook.Gradebook(gradebook.settings(root)) as book:
        return {student: total.points for student, total in book.totals(NAME).items()}


def boxes(process):
    """The processes below a worker, if a student's kernel is among them."""
    below = psutil.Process(process.pid).children(recursive=True)
    try:
        return below if any(each.name() == "bwrap" for each in below) else []
    except psutil.NoSuchProcess:
        return []


def test_a_worker_that_is_killed_mid_way_costs_no_score_and_counts_nothing_twice(
    address, steady, released, here, tmp_path
):
    root = class_of_six(released, tmp_path)
    courses.submit(root, "gus")
    begun, done, below = Counter(), Counter(), []
    abandoned = tmp_path / "victim" / "coursekit-grading-abandoned"
    abandoned.mkdir(parents=True)
    os.utime(abandoned, (0, 0))
    with worker(address, tmp_path / "victim") as victim:

        def kill_the_victim(student, score):
            (begun if score is None else done)[student] += 1
            if score is not None and not below:
                while not below:
                    below.extend(boxes(victim))
                victim.kill()

        scores = courses.grade(root, scheduler=address, progress=kill_the_victim)
        assert victim.wait() == -signal.SIGKILL
    assert done == dict.fromkeys(scores, 1)
    assert [student for student, times in begun.items() if times > 1]  # it ran twice
    assert {score.status for score in scores.values()} == {"scored"}
    kept = as_kept(root)
    del kept["gus"]
    assert comparable(kept, root) == comparable(as_kept(here), here)
    assert points(root) == points(here) | {"gus": 5.0}
    assert psutil.wait_procs(below, timeout=10)[1] == []
    left = {path.name.rpartition("-")[0] for path in (tmp_path / "victim").glob("coursekit-*")}
    assert left <= {"coursekit-grading"}  # which the next worker there removes, as this one did
    assert not abandoned.exists()


def comparable(kept, root):
    """Scores without the id of a seed that each copy of the course made for itself."""
    mine = course.seed_id(course.seed(root, NAME))
    return {student: text.replace(mine, "") for student, text in kept.items()}


def test_workers_need_not_see_the_course(address, steady, released, here, tmp_path):
    """The grader sees it in a place that nobody else has."""
    root = class_of_six(released, tmp_path)
    words = [shutil.which("bwrap"), "--dev-bind", "/", "/", "--tmpfs", "/mnt", "--bind", str(root), "/mnt/class"]
    words += [COMMAND, "grade", NAME, "ada", "cyd", "fay", "--course", "/mnt/class", "--json"]
    done = subprocess.run([*words, "--scheduler", address], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not Path("/mnt/class").exists()
    students = [score["student"] for score in json.loads(done.stdout)["scores"]]
    assert students == ["ada", "cyd", "fay"]
    expected = comparable(as_kept(here), here)
    assert comparable(as_kept(root), root) == {student: expected[student] for student in students}


def test_what_was_graded_is_kept_and_its_runs_travel_both_ways(address, steady, released, tmp_path):
    """Each run says something that no other run does, so one that was taken up shows in the executed notebook."""
    root = class_of_six(released, tmp_path)
    courses.submit(root, "gus", {"answer": "import os\nprint(os.urandom(8).hex())\ndef double(x):\n    return 2 * x"})
    students, checks = ("ada", "fay", "gus"), root / "autograder" / NAME / f"test_{NAME}.py"
    notebooks, earned = [], []

    def grade(**where):
        done, told = [], []
        scores = courses.grade(root, *students, explain=done.extend, progress=lambda *each: told.append(each), **where)
        notebooks.append((root / "autograded" / "gus" / NAME / f"{NAME}.ipynb").read_text())
        earned.append(scores["gus"].earned)
        begun = {student for student, score in told if score is None}
        assert {student for student, score in told if score is not None} == set(students)
        return {each.student: each.action for each in done}, begun

    assert grade(scheduler=address) == (dict.fromkeys(students, "run"), set(students))
    assert grade() == (dict.fromkeys(students, "keep"), set())
    assert grade(scheduler=address) == (dict.fromkeys(students, "keep"), set())
    right = checks.read_text()
    checks.write_text(right.replace("2 * x)", "3 * x)"))
    assert grade(scheduler=address) == (dict.fromkeys(students, "check"), set(students))  # of runs that went there
    checks.write_text(right.replace("2 * x)", "4 * x)"))
    assert grade() == (dict.fromkeys(students, "check"), set(students))  # of runs that came from there
    assert len(set(notebooks)) == 1
    assert earned == [5.0, 5.0, 5.0, 2.0, 2.0]
    assert grade(scheduler=address, force=True)[0] == dict.fromkeys(students, "run")
    assert notebooks[-1] != notebooks[0]


def test_ctrl_c_keeps_what_is_finished_and_leaves_no_box_on_a_worker(address, steady, released, tmp_path):
    root = courses.copy(released, tmp_path)
    courses.submit(root, "ada")
    courses.submit(root, "loops", {"answer": "while True:\n    pass"})
    words = [COMMAND, "grade", NAME, "--course", str(root), "--scheduler", address]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert "ada" in process.stderr.readline()
        below = []
        while not below:
            assert process.poll() is None
            below = boxes(steady)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait() == 130
    assert "Stopped. What was finished is kept" in said
    assert "Traceback" not in said
    assert psutil.wait_procs(below, timeout=10)[1] == []
    assert psutil.Process(steady.pid).children() == []  # its warm interpreters are gone too
    assert list(as_kept(root)) == ["ada"]
    assert points(root) == {"ada": 5.0}


# --- What machines do -------------------------------------------------------------------------------------------------


@contextmanager
def cluster(address, work, shared, seconds=60.0, *, exclusive=False):
    opened = Cluster(address, work, str(shared).encode(), seconds=seconds, exclusive=exclusive)
    try:
        yield opened
    finally:
        opened.close(jobs.closes, str(shared).encode())


def submitted(opened, name="job"):
    """The answer of one job, and how often it began."""
    begun = []
    return opened.submit(name, name.encode, lambda: begun.append(name)).result(60), len(begun)


def test_bytes_go_out_and_come_back_and_a_last_function_is_called(address, steady, tmp_path):
    with cluster(address, jobs.echoes, tmp_path) as opened:
        assert submitted(opened, "one") == (f"{tmp_path}one".encode(), 1)
    assert (tmp_path / f"closed-{steady.pid}").exists()


def test_a_job_that_a_machine_breaks_is_begun_elsewhere(address, steady, tmp_path):
    with worker(address, tmp_path / "other") as other, cluster(address, jobs.fails_once, tmp_path) as opened:
        (tmp_path / "first").touch()
        answers = {submitted(opened, f"job-{number}") for number in range(3)}
    assert {times for _, times in answers} == {2}
    assert {int(pid) for pid, _ in answers} <= {steady.pid, other.pid}


def test_what_every_machine_breaks_comes_back_as_it_is(address, steady, tmp_path):
    with cluster(address, jobs.always_fails, tmp_path) as opened:
        assert submitted(opened) == (b"no score", 3)


def test_a_fault_that_nobody_foresaw_is_said_in_a_sentence(address, steady, tmp_path):
    with (
        cluster(address, jobs.raises, tmp_path) as opened,
        pytest.raises(Lost, match="a worker could not grade it: ZeroDivisionError: job"),
    ):
        submitted(opened)


def test_a_job_that_does_not_come_back_is_ended_and_begun_anew(address, steady, tmp_path):
    with cluster(address, jobs.hangs_once, tmp_path, seconds=0.3) as opened:
        assert submitted(opened) == (b"here", 2)
    assert (tmp_path / "stopped").exists()


def test_a_job_that_never_comes_back_is_given_up(address, steady, tmp_path):
    with (
        cluster(address, jobs.hangs, tmp_path, seconds=0.3) as opened,
        pytest.raises(Lost, match="no worker brought it back within 0 seconds"),
    ):
        submitted(opened)


def test_a_job_that_ends_its_workers_is_given_up(address, tmp_path):
    """Only workers with the resource get it, so that the steady one lives on."""
    with (
        worker(address, tmp_path / "first", "--resources", "exclusive=1"),
        worker(address, tmp_path / "second", "--resources", "exclusive=1"),
        cluster(address, jobs.kills_its_worker, tmp_path, exclusive=True) as opened,
        pytest.raises(Lost, match="2 workers ended while they graded it"),
    ):
        submitted(opened)


def test_what_is_timed_is_refused_where_no_worker_may_time(address, steady, tmp_path):
    with cluster(address, jobs.echoes, tmp_path, exclusive=True) as opened:
        assert opened.timers() == 0


# --- Who is not there -------------------------------------------------------------------------------------------------


def test_without_a_scheduler_nothing_begins_and_its_address_is_named(released, tmp_path, monkeypatch):
    monkeypatch.setattr("coursekit.pool.cluster._CONNECT_SECONDS", 0.5)
    root = class_of_six(released, tmp_path)
    with pytest.raises(MachineError, match="no dask scheduler answers") as raised:
        courses.grade(root, scheduler="tcp://127.0.0.1:9")
    assert raised.value.where == "tcp://127.0.0.1:9"
    assert as_kept(root) == {}


@pytest.mark.parametrize("wrong", ["nonsense", "tcp://", "tcp://host", "tcp://host:x", "foo://host:1", "tcp://a b:1"])
def test_what_is_no_address_is_refused_at_once(wrong):
    with pytest.raises(MachineError, match="no address of a scheduler"):
        Cluster(wrong, jobs.echoes, b"", seconds=1, exclusive=False)


def test_tls_without_certificates_is_refused_at_once():
    with pytest.raises(MachineError, match="names no certificates"):
        Cluster("tls://127.0.0.1:9", jobs.echoes, b"", seconds=1, exclusive=False)


def test_a_scheduler_that_goes_away_stops_the_class_and_keeps_what_is_finished(released, tmp_path, monkeypatch):
    monkeypatch.setattr("coursekit.pool.cluster._CONNECT_SECONDS", 5.0)
    root = courses.copy(released, tmp_path)
    courses.submit(root, "ada")
    courses.submit(root, "ben")
    words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with ending(started(*words, folder=tmp_path)) as process:
        address = said(process, r"tcp://127\.0\.0\.1:\d+")

        def end_the_scheduler(student, score):
            if score is not None:
                process.kill()

        with (
            worker(address, tmp_path / "only"),
            pytest.raises(MachineError, match="the connection to the scheduler was lost"),
        ):
            courses.grade(root, scheduler=address, progress=end_the_scheduler)
    assert len(as_kept(root)) == 1
    assert list(points(root)) == list(as_kept(root))


def test_a_worker_with_other_versions_is_refused_before_it_grades_anything(
    address, steady, released, tmp_path, monkeypatch
):
    monkeypatch.setattr("coursekit.planning.tools", lambda: {"numpy": "1.0"})
    root = class_of_six(released, tmp_path)
    with pytest.raises(ToolError, match=r"a worker has numpy \S+ instead of 1\.0"):
        courses.grade(root, scheduler=address)
