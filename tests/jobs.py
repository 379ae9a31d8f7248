"""What workers in test_scheduler.py are asked to do: jobs that break or hang as machines do."""

import os
import signal
from pathlib import Path


def _first(shared, job):
    """True for the first who asks about this job."""
    try:
        Path(shared.decode(), job.decode()).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def echoes(shared, job, desk):
    """An answer with everything in order."""
    desk.begin()
    return shared + job, ""


def fails_once(shared, job, desk):
    """A machine that is broken, then one that is not."""
    desk.begin()
    return str(os.getpid()).encode(), "this machine has no room left" if _first(shared, job) else ""


def always_fails(shared, job, desk):
    """Machines that are all broken; what they could find out comes back all the same."""
    desk.begin()
    return b"no score", "this machine has no room left"


def raises(shared, job, desk):
    """A fault of ours that nobody foresaw."""
    desk.begin()
    raise ZeroDivisionError(job.decode())


def hangs_once(shared, job, desk):
    """A job that does not come back until nobody wants it any more, then one that does."""
    desk.begin()
    if not _first(shared, job):
        return b"here", ""
    while not desk.stop.is_set():
        desk.stop.wait(0.02)
    Path(shared.decode(), "stopped").touch()
    return b"too late", ""


def hangs(shared, job, desk):
    """One that never does."""
    desk.begin()
    while not desk.stop.is_set():
        desk.stop.wait(0.02)
    return b"too late", ""


def kills_its_worker(shared, job, desk):
    """A machine that goes down with the job, whoever has it."""
    desk.begin()
    os.kill(os.getpid(), signal.SIGKILL)


def closes(shared):
    """A last function, which leaves a mark."""
    Path(shared.decode(), f"closed-{os.getpid()}").touch()
