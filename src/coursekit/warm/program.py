"""In a zygote's fork: run a trusted module as its main program, and say how it ended."""

from __future__ import annotations

import json
import os
import sys

from coursekit.warm.running import run_module


def main(given: list[int]) -> None:
    """Take an order from standard input: module, arguments, environment, cwd. `given` is where the exit status goes."""
    order = json.loads(sys.stdin.buffer.readline())
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    os.chdir(order["cwd"])
    status = run_module(order["module"], order["arguments"], order["environment"])
    os.write(given[0], str(status).encode())
