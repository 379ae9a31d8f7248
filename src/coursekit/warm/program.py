"""In a zygote's fork: run a trusted module as the main program of a process of its own, and say how that ended."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

from coursekit.warm.running import run_module

_PR_SET_PDEATHSIG = 1


def main(given: list[int]) -> None:
    """Take an order from standard input: module, arguments, environment, cwd. `given` is where the exit status goes."""
    _die_with_parent()
    order = json.loads(sys.stdin.buffer.readline())
    child = os.fork()
    if child == 0:
        _die_with_parent()
        os.close(given[0])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(order["cwd"])
        os._exit(run_module(order["module"], order["arguments"], order["environment"]))
    _, status = os.waitpid(child, 0)
    os.write(given[0], str(os.waitstatus_to_exitcode(status)).encode())


def _die_with_parent() -> None:
    """When the grader ends, its zygotes do, and nothing that they started for it may go on."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
