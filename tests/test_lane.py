"""The exclusive lane: who is timed is alone, on the whole machine."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from coursekit.errors import MachineError
from coursekit.pool import Unwanted, lane

HOLDS = """
import sys, threading
from pathlib import Path
from coursekit.pool import lane
with lane(threading.Event(), exclusive=sys.argv[2] == "alone", folder=Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


class GivesUp:
    """A stop that is set as soon as somebody had to wait; so who gets in did not wait."""

    def __init__(self):
        self.waited = False

    def is_set(self):
        return self.waited

    def wait(self, timeout=None):
        self.waited = True


def gets_in(folder, *, exclusive):
    try:
        with lane(GivesUp(), exclusive=exclusive, folder=folder):
            return True
    except Unwanted:
        return False


@pytest.mark.parametrize(
    ("held", "asked", "beside"), [(False, False, True), (False, True, False), (True, False, False), (True, True, False)]
)
def test_only_jobs_that_are_not_timed_run_beside_each_other(tmp_path, held, asked, beside):
    with lane(threading.Event(), exclusive=held, folder=tmp_path):
        assert gets_in(tmp_path, exclusive=asked) is beside
    assert gets_in(tmp_path, exclusive=asked)


def test_who_is_timed_waits_for_those_who_run_and_later_comers_wait_behind(tmp_path):
    queued, order = threading.Event(), []

    class Queued(threading.Event):
        def wait(self, timeout=None):
            queued.set()
            return super().wait(timeout)

    def timed():
        with lane(Queued(), exclusive=True, folder=tmp_path):
            order.append("timed")

    with ThreadPoolExecutor(1) as pool, ExitStack() as running:
        running.enter_context(lane(threading.Event(), exclusive=False, folder=tmp_path))
        waiting = pool.submit(timed)
        assert queued.wait(10)
        assert not gets_in(tmp_path, exclusive=False)
        order.append("first is done")
        running.close()
        waiting.result(10)
    assert order == ["first is done", "timed"]
    assert gets_in(tmp_path, exclusive=False)


def test_graders_that_know_nothing_of_each_other_are_kept_apart_and_one_that_is_killed_holds_nothing(tmp_path):
    words = [sys.executable, "-c", HOLDS, str(tmp_path), "alone"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert not gets_in(tmp_path, exclusive=False)
        other.kill()
    assert gets_in(tmp_path, exclusive=True)


def test_a_folder_of_somebody_else_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr("coursekit.pool.lanes._EVERYWHERE", str(tmp_path / "lane"))
    (tmp_path / f"lane-{os.geteuid()}").mkdir(mode=0o755)
    with pytest.raises(MachineError, match="yours alone"), lane(threading.Event(), exclusive=False):
        pass
