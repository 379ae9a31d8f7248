"""A day when everything breaks: each fault is made for real, and costs a sentence and some time, and nobody a point."""

import os
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

import ipykernel
import psutil
import pytest

import courses
import struck
from coursekit import shelf
from struck import NAME, within

pytestmark = pytest.mark.box

FULL = 5.0


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return struck.graded(tmp_path_factory.mktemp("template") / "course")


@pytest.fixture
def root(template, tmp_path):
    root = courses.copy(template, tmp_path)
    courses.submit(root, "bob")
    return root


# --- Boxes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence", "remedy"),
    [
        (("--ro-bind", "/dev/null", struck.BWRAP), "bubblewrap is not installed", "apt install bubblewrap"),
        (("--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"), "namespace", "AppArmor"),
    ],
    ids=["missing", "blocked"],
)
def test_without_bubblewrap_nothing_runs_and_it_is_said_what_to_install(root, tmp_path, words, sentence, remedy):
    before = struck.held(root, "ada")
    done = struck.ran(tmp_path, "grade", NAME, "--course", str(root), before=within(*words))
    assert done.code == 5
    assert sentence in done.err
    assert remedy in done.err
    assert struck.held(root, "ada") == before
    assert struck.score(root, "bob") is None
    assert struck.finishes(root, {"ada": FULL, "bob": FULL}) == {"ada": "keep", "bob": "run"}


REAL = "/usr/bin/yes"  # a place for bubblewrap itself, where something is on every machine
BREAKS_ONCE = f"""\
#!/bin/sh
if ! mkdir /mnt/first 2>/dev/null && mkdir /mnt/second 2>/dev/null; then
    echo "it broke" >&2
    exit 1
fi
exec {REAL} "$@"
"""


def test_a_box_that_does_not_start_costs_its_submission_a_score_until_the_next_day(root, tmp_path):
    """The second one, for the first only shows that boxes can be made."""
    courses.submit(root, "cyd")
    before = struck.held(root, "ada")
    program = tmp_path / "bwrap"
    program.write_text(BREAKS_ONCE)
    program.chmod(0o755)
    hidden = within("--perms", "1777", "--tmpfs", "/mnt", "--ro-bind", struck.BWRAP, REAL)
    hidden += ["--ro-bind", str(program), struck.BWRAP]
    done = struck.ran(tmp_path, "grade", NAME, "--course", str(root), "--jobs", "1", before=hidden)
    assert done.code == 0, done.err
    assert struck.held(root, "ada") == before
    assert struck.score(root, "bob").status == "unscored"
    assert "no box can be made here: it broke" in struck.score(root, "bob").reason
    assert struck.score(root, "bob").reason.endswith("The instructor has to mend this.")
    assert struck.score(root, "cyd").earned == FULL
    expected = dict.fromkeys(("ada", "bob", "cyd"), FULL)
    assert struck.finishes(root, expected, ["ada", "cyd"]) == {"ada": "keep", "bob": "run", "cyd": "keep"}


HANGS = "#!/bin/sh\nsleep 1000 &\nexec sleep 1000\n"
OPENS = """
from coursekit.errors import SandboxError
from coursekit.records import Limits
from coursekit.sandbox import bwrap
bwrap._START_SECONDS = {patience}
try:
    bwrap.BwrapBox(Limits())
except SandboxError as error:
    print(error)
"""


@pytest.fixture
def hanging(tmp_path):
    """The words before a command that finds a bubblewrap which starts another process and never gets further."""
    program = tmp_path / "bwrap"
    program.write_text(HANGS)
    program.chmod(0o755)
    return within("--ro-bind", str(program), struck.BWRAP)


def test_a_box_that_hangs_while_it_starts_is_given_up_and_leaves_nothing(tmp_path, hanging):
    command = [sys.executable, "-c", OPENS.format(patience=0.5)]
    done = struck.ran(tmp_path, before=hanging, command=command)
    assert done.out == "no box can be made here: it was not ready after 0 seconds.\n"


def test_a_grader_that_is_killed_while_a_box_starts_leaves_nothing_of_it(tmp_path, hanging):
    """Bubblewrap's own child waits for ever if its parent dies at that moment."""
    command = [sys.executable, "-c", OPENS.format(patience=100)]
    with struck.running(tmp_path, before=hanging, command=command) as process:
        struck.named(process, "sleep 1000", 2)
        for each in struck.named(process, "bwrap._START_SECONDS"):
            if each.name() != "bwrap":
                each.kill()
        assert struck.ended(process, tmp_path).code == 128 + signal.SIGKILL


def test_a_machine_that_ends_everything_while_a_box_starts_leaves_nothing_of_it(tmp_path, hanging):
    """As when it shuts down: what would clean up is told to end as well."""
    command = [sys.executable, "-c", OPENS.format(patience=100)]
    with struck.running(tmp_path, before=hanging, command=command) as process:
        (child,) = {each for each in struck.named(process, "sleep 1000", 2) if each.parent().name() == "sleep"}
        for each in struck.below(process):
            with suppress(psutil.NoSuchProcess):
                if each != child and each.name() != "bwrap":
                    each.terminate()
        assert struck.ended(process, tmp_path).code == 128 + signal.SIGTERM


def test_a_bubblewrap_that_is_ended_while_its_box_starts_is_not_waited_for(tmp_path, hanging):
    command = [sys.executable, "-c", OPENS.format(patience=100)]
    with struck.running(tmp_path, before=hanging, command=command) as process:
        (first,) = {each for each in struck.named(process, "sleep 1000", 2) if each.parent().name() != "sleep"}
        first.terminate()
        done = struck.ended(process, tmp_path)
    assert (done.code, done.out) == (0, "no box can be made here: bubblewrap ended at once.\n")


# --- Kernels ----------------------------------------------------------------------------------------------------------

HIDDEN_KERNEL = Path(ipykernel.__file__).with_name("kernelapp.py")


def test_kernels_that_cannot_start_are_our_fault(root, tmp_path):
    before = struck.held(root, "ada")
    hidden = within("--ro-bind", "/dev/null", str(HIDDEN_KERNEL))
    done = struck.ran(tmp_path, "grade", NAME, "--course", str(root), before=hidden)
    assert done.code == 0, done.err
    assert struck.held(root, "ada") == before
    bob = struck.score(root, "bob")
    assert (bob.status, {check.outcome for check in bob.checks}) == ("unscored", set())
    assert "the kernel ended while it started" in bob.reason
    assert bob.reason.endswith("The instructor has to mend this.")
    assert struck.finishes(root, {"ada": FULL, "bob": FULL}) == {"ada": "keep", "bob": "run"}


DEFINES = "def double(x):\n    return 2 * x\n"
EATS = """
import os
for _ in range(3):
    os.fork()
x = [bytes([n % 250]) * 2**20 for n in range(250)]
while True:
    pass
"""
DIES = {
    "exits": ("import os\nos._exit(0)", "the kernel ended by itself"),
    "crashes": ("import ctypes\nctypes.string_at(0)", "the kernel ended by itself"),
    "eats": (EATS, "the memory limit"),
}
STUBBORN = """
import atexit, signal, threading, time
for number in range(1, 32):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
atexit.register(time.sleep, 1000)
threading.Thread(target=time.sleep, args=(1000,)).start()
"""


def test_kernels_that_die_at_run_are_the_student_s_and_one_that_will_not_die_is_nobody_s(root, tmp_path):
    for student, (source, _) in DIES.items():
        courses.submit(root, student, {"answer": f"{DEFINES}{source}"})
    courses.submit(root, "stubborn", {"answer": f"{DEFINES}{STUBBORN}"})
    before = struck.held(root, "ada")
    done = struck.ran(tmp_path, "grade", NAME, "--course", str(root))
    assert done.code == 0, done.err
    assert struck.held(root, "ada") == before
    for student, (_, why) in DIES.items():
        score = struck.score(root, student)
        assert (score.status, score.earned, score.run.state) == ("scored", 0, "stopped")
        assert why in score.run.reason
    everyone = {"ada": FULL, "bob": FULL, "stubborn": FULL} | dict.fromkeys(DIES, 0)
    assert set(struck.finishes(root, everyone, [*everyone]).values()) == {"keep"}


def test_a_box_that_somebody_ends_from_outside_is_not_the_student_s_fault(root, tmp_path):
    courses.submit(root, "cyd", {"answer": struck.SLEEPS})
    with struck.running(tmp_path, "grade", NAME, "--course", str(root), "--jobs", "1") as process:
        struck.box(process).terminate()
        done = struck.ended(process, tmp_path)
    assert done.code == 0
    cyd = struck.score(root, "cyd")
    assert (cyd.status, cyd.earned) == ("unscored", "unscored")
    assert "bubblewrap was ended by signal 15" in cyd.reason
    expected = dict.fromkeys(("ada", "bob", "cyd"), FULL)
    assert struck.finishes(root, expected, ["ada", "bob"]) == {"ada": "keep", "bob": "keep", "cyd": "run"}


GROUPS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))
GREEDY = f"x = [bytes([n % 250]) * 2**20 for n in range(800)]\n{DEFINES}"
"""It takes less than its own limit, and more than there is."""


@pytest.fixture
def little_memory():
    """The words before a command that has little memory, as in a container; none where this user may not limit it."""
    for top, limit in GROUPS:
        group = Path(top) / f"coursekit-{os.getpid()}"
        with suppress(OSError):
            group.mkdir()
            try:
                (group / limit).write_text("700000000")
                yield ["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(group)]
            finally:
                group.rmdir()
            return
    yield []


def test_a_kernel_that_the_machine_ends_for_want_of_memory_is_not_the_student_s_fault(root, tmp_path, little_memory):
    """Where memory can be limited; elsewhere what tells us of it can at least be read."""
    assert "oom_kill " in Path("/proc/vmstat").read_text()
    courses.submit(root, "cyd", {"answer": GREEDY})
    done = struck.ran(tmp_path, "grade", NAME, "--course", str(root), "--jobs", "1", before=little_memory)
    assert done.code == 0, done.err
    cyd = struck.score(root, "cyd")
    assert cyd.status == ("unscored" if little_memory else "scored")
    assert not little_memory or "the memory of this machine, or of what it gives the grader, ran out" in cyd.reason
    everyone = dict.fromkeys(("ada", "bob", "cyd"), FULL)
    assert struck.finishes(root, everyone, ["ada", "bob"])["cyd"] == ("run" if little_memory else "keep")


# --- Warm interpreters ------------------------------------------------------------------------------------------------


def test_warm_interpreters_that_die_again_and_again_cost_time_and_no_score(root, tmp_path):
    """More often than they are started anew; whatever they were asked for is then started cold."""
    for student in ("cyd", "dan", "eve", "fay"):
        courses.submit(root, student)
    with struck.running(tmp_path, "grade", NAME, "--course", str(root), "--jobs", "1") as process:
        killed = set()
        while process.poll() is None and len(killed) < 8:
            for each in struck.below(process):
                with suppress(psutil.Error):
                    if "coursekit.warm.zygote" in each.cmdline() and each.pid not in killed:
                        killed.add(each.pid)
                        each.kill()
        done = struck.ended(process, tmp_path)
    assert done.code == 0, done.err
    assert done.err.count("start cold, which is slower and changes no score") == 2
    everyone = dict.fromkeys(("ada", "bob", "cyd", "dan", "eve", "fay"), FULL)
    assert {student: struck.score(root, student).earned for student in everyone} == everyone
    assert set(struck.finishes(root, everyone, [*everyone]).values()) == {"keep"}


# --- Disks ------------------------------------------------------------------------------------------------------------


READ_ONLY = {
    "scores": "Read-only file system",
    "autograded": "Read-only file system",
    "gradebook.db": "it may not be written",
    ".kept": "it may only be read",
}


def test_what_may_only_be_read_stops_the_class_with_a_sentence(root, tmp_path):
    """One part of the course after the other."""
    before = struck.held(root, "ada")
    for place, sentence in READ_ONLY.items():
        locked = within("--ro-bind", str(root / place), str(root / place))
        done = struck.ran(tmp_path, "grade", NAME, "--course", str(root), before=locked)
        assert done.code == 5
        assert sentence in done.err
        assert str(root) in done.err
        assert "Fix: " in done.err
        assert struck.held(root, "ada") == before
    assert struck.finishes(root, {"ada": FULL, "bob": FULL})["ada"] == "keep"


@pytest.mark.parametrize(
    ("pages", "sentence"),
    [(1, "the disk is full"), (5, "the disk for temporary files is full")],
    ids=["task", "result"],
)
def test_a_full_disk_for_temporary_files_costs_a_sentence(root, tmp_path, pages, sentence):
    """There is room for a page: not for what the trusted process is told, or not for what it found."""
    before = struck.held(root, "ada")
    size, temporary = str(4096 * pages), str(tmp_path / "temporary")
    small = ("--size", size, "--tmpfs", temporary, "--size", "4096", "--tmpfs", "/dev/shm")
    done = struck.ran(tmp_path, "grade", NAME, "--course", str(root), before=within(*small))
    assert done.code == 0, done.err
    assert struck.held(root, "ada") == before
    bob = struck.score(root, "bob")
    assert bob.status == "unscored"
    assert sentence in bob.reason
    assert bob.reason.endswith("The instructor has to mend this.")
    assert struck.finishes(root, {"ada": FULL, "bob": FULL}) == {"ada": "keep", "bob": "run"}


# --- The gradebook ----------------------------------------------------------------------------------------------------


def test_a_gradebook_that_is_locked_for_longer_than_one_waits_costs_a_sentence(root, tmp_path):
    before = struck.held(root, "ada")
    with closing(sqlite3.connect(root / "gradebook.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = struck.ran(tmp_path, "grade", NAME, "--course", str(root))
    assert done.code == 5
    assert "another program is writing to it" in done.err
    assert "wait until it is done, and run this again." in done.err
    assert struck.held(root, "ada") == before
    assert struck.score(root, "bob").earned == FULL
    assert struck.finishes(root, {"ada": FULL, "bob": FULL})["bob"] in ("check", "record")  # it has run


# --- The clock --------------------------------------------------------------------------------------------------------

JUMPS = """
import time
from pathlib import Path

now, began = time.time, time.monotonic()

def jumped():
    if time.monotonic() - began < 0.7:
        return now()
    Path(__file__).with_name("jumped").touch()
    return now() - 40_000_000

time.time = jumped
time.time_ns = lambda: int(1_000_000_000 * jumped())
"""
"""The clock is the outside world's; whatever else runs reads it as it is."""


def test_a_clock_that_jumps_back_by_a_year_while_a_class_is_graded_changes_nothing(root, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(JUMPS)
    before = struck.held(root, "ada")
    done = struck.ran(tmp_path, "grade", NAME, "--course", str(root), env={"PYTHONPATH": str(tmp_path)})
    assert done.code == 0, done.err
    assert (tmp_path / "jumped").exists()
    assert struck.held(root, "ada") == before
    assert struck.finishes(root, {"ada": FULL, "bob": FULL}, ["ada", "bob"]) == {"ada": "keep", "bob": "keep"}


def test_what_a_dead_grader_left_behind_before_the_clock_was_set_back_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with shelf.scratch() as living:
        abandoned = living.with_name(f"{living.name}-abandoned")
        abandoned.mkdir()
        ahead = time.time() + 40_000_000
        for each in (living, abandoned):
            os.utime(each, (ahead, ahead))
        shelf.sweep_scratch()
        assert (abandoned.exists(), living.exists()) == (False, True)
