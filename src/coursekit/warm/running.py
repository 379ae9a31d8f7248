"""In a fork: be the interpreter that was started with `python -m MODULE`, from its arguments to its exit status."""

from __future__ import annotations

import atexit
import contextlib
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence


def run_module(name: str, arguments: Sequence[str], environment: Mapping[str, str], path: str = "") -> int:
    """Run a module as the main program, and end as an interpreter does; its exit status.

    `path` is a folder that modules are imported from first, if any.
    """
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [name, *arguments]
    if path:
        sys.path.insert(0, path)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # what it drew when it was imported would be the same in every fork
    status = _ran(name)
    for last in (threading._shutdown, atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush):  # type: ignore[attr-defined] # noqa: SLF001 - as the interpreter ends
        with contextlib.suppress(BaseException):
            last()
    return status


def _ran(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        sys.stderr.write(f"{error.code}\n")
        return 1
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        return 1
    return 0
