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


def echoes(shared, job, post):
    """An answer with everything in order."""
    post.begin()
    return shared + job, ""


def fails_once(shared, job, post):
    """A machine that is broken, then one that is not."""
    post.begin()
    return str(os.getpid()).encode(), "this machine has no room left" if _first(shared, job) else ""


def always_fails(shared, job, post):
    """Machines that are all broken; what they could find out comes back all the same."""
    post.begin()
    return b"no score", "this machine has no room left"


def raises(shared, job, post):
    """A fault of ours that nobody foresaw."""
    post.begin()
    raise ZeroDivisionError(job.decode())


def hangs_once(shared, job, post):
    """A job that does not come back until nobody wants it any more, then one that does."""
    post.begin()
    if not _first(shared, job):
        return b"here", ""
    while not post.stop.is_set():
        post.stop.wait(0.02)
    Path(shared.decode(), "stopped").touch()
    return b"too late", ""


def hangs(shared, job, post):
    """One that never does."""
    post.begin()
    while not post.stop.is_set():
        post.stop.wait(0.02)
    return b"too late", ""


def kills_its_worker(shared, job, post):
    """A machine that goes down with the job, whoever has it."""
    post.begin()
    os.kill(os.getpid(), signal.SIGKILL)


def closes(shared):
    """A last function, which leaves a mark."""
    Path(shared.decode(), f"closed-{os.getpid()}").touch()
