"""Runs in a box: every program on every model, in a child each, and one line of JSON for each.

The libraries are imported once, before the children are made; a child that makes one crash takes nobody with it.
Arguments: seconds for each child. `models.bin` holds the models, each behind its length in four bytes.
"""

import contextlib
import importlib
import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

BYTES = 1_000_000_000
"""What one child may hold, well below what the box may: the others must not end with it."""

PROGRAMS = {"flatbuffer": [], "litert": ["describe"], "cycles": [], "tflm": []}


def models(packed):
    at = 0
    while at < len(packed):
        size = int.from_bytes(packed[at : at + 4], "little")
        yield packed[at + 4 : at + 4 + size]
        at += 4 + size


def become(module, arguments, model, folder):
    """In the child: run the program as `python -m` does, with its outputs in files."""
    os.chdir(folder)
    Path("model.tflite").write_bytes(model)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600), descriptor)
    sys.argv = [module.__name__, *arguments]
    status = 1
    try:
        module.main()
        status = 0
    except BaseException:  # noqa: BLE001 - as the interpreter does
        os.write(2, traceback.format_exc().encode())
    os._exit(status)


def ended(child):
    """Wait for a child; give its status as a shell does, or None if it was still running after its processor time."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None if os.WTERMSIG(status) in {9, 24} else -os.WTERMSIG(status)
    return os.WEXITSTATUS(status)


def main():
    seconds = int(sys.argv[1])
    loaded = {name: importlib.import_module(f"coursekit.measure.inside.{name}") for name in PROGRAMS}
    importlib.import_module("tflite_micro.python.tflite_micro.runtime")
    for number, model in enumerate(models(Path("models.bin").read_bytes())):
        for name, arguments in PROGRAMS.items():
            folder = tempfile.mkdtemp()
            child = os.fork()
            if child == 0:
                resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
                resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
                become(loaded[name], arguments, model, folder)
            code = ended(child)
            out, err = ((Path(folder) / kind).read_bytes().decode("latin-1") for kind in ("out", "err"))
            line = {"number": number, "program": name, "code": code, "out": out, "err": err[-2000:]}
            sys.stdout.write(json.dumps(line) + "\n")
            with contextlib.suppress(OSError):
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
