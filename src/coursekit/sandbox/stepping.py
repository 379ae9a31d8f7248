"""In a zygote's fork: step into a box as `enter.py` does, and run a module there in the interpreter that is at hand."""

from __future__ import annotations

import json
import os
from typing import Any

from coursekit.sandbox import enter
from coursekit.warm.running import run_module
from coursekit.warm.zygote import close_all_but

_PR_SET_DUMPABLE = 4


def step(given: list[int]) -> None:
    """Take an order from standard input and report how it ended; `given` are the status pipe and the box's process."""
    order = json.loads(enter.read_line())
    order["status"], order["pidfd"] = given
    enter.report(order, _become)


def _become(order: dict[str, Any]) -> None:
    """In the box, without rights: the module is all that this process is from here on."""
    enter.call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after an exec: /proc/self belongs to whom it shows
    close_all_but()
    path = "" if order["isolated"] else order["cwd"]
    os._exit(run_module(order["module"], order["arguments"], order["env"], path))
