"""What runs on a board: it times one model and prints one document (`documents.Timed`, or why there is no time).

It is sent over ssh, and nothing of ours is there: Linux, Python 3.9, numpy and one runtime are all it needs. The job, a
line of JSON, and the model come on standard input; no file is written. The model is hostile input here too: it is
opened in a process of its own that may not write files, gain rights or take more than half of the memory, and that ends
after `limit` seconds, with this one, or when the connection is lost. That stops accidents. Code that a model smuggles
in would run as this account, so the account should be unprivileged, hold nothing, and be used for nothing else.

One model is timed at a time: whoever holds the lock on `/dev`, which every account can read, has the board.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import importlib.metadata
import json
import os
import platform
import resource
import select
import signal
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

_INTERPRETERS = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "tensorflow": "tensorflow.lite.python.interpreter",
}
_BLOCKS = 20
"""The clock is read about so often in a window."""

_START_SECONDS = 120
"""What importing a runtime may take before a model's own limit begins; TensorFlow from a slow card needs it."""

_SEED = 20_261_124
_NICE = 5
_PIPE_BYTES = 65_536
_END_WITH_PARENT, _GAIN_NO_RIGHTS = 1, 38  # PR_SET_PDEATHSIG and PR_SET_NO_NEW_PRIVS in linux/prctl.h


def main() -> None:
    """Read the job and its model, wait for the board, and print what came of it."""
    job = json.loads(sys.stdin.buffer.readline())
    model = sys.stdin.buffer.read(job["model_bytes"])
    if len(model) < job["model_bytes"]:
        sys.exit("the connection was lost before the whole model was here")
    lock = os.open("/dev", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(
        1, b"\n"
    )  # white space before the document: the board is ours, and only now does the other side's time run
    os.write(1, apart(job, model, lock))


# --- The process that never opens the model --------------------------------------------------------------------------


def apart(job: dict[str, Any], model: bytes, lock: int) -> bytes:
    """Time the model in a process of its own; give what it printed, or a document that says how it ended."""
    read, write = os.pipe()  # it takes a whole document, so that nobody needs to read while a model is timed
    os.set_blocking(read, False)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(lock)
            os.write(write, json.dumps(answer(job, model)).encode())
            os._exit(0)
        except BaseException:  # noqa: BLE001 - nothing may leave this process but by its exit
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    with contextlib.suppress(OSError):  # it has a group of its own, so that what it starts ends with it
        os.setpgid(pid, pid)
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(_START_SECONDS + 2 * job["limit"])
    try:
        if 0 in select.select([0, os.pidfd_open(pid)], [], [])[0]:  # nothing more is ever sent, so this is its end
            sys.exit("the connection was lost")
    finally:  # it is not reaped yet, so its group is nobody else's
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        ended = os.WTERMSIG(status)
        slow = ended in (signal.SIGALRM, signal.SIGXCPU)
        told = {"type": "too slow", "seconds": job["limit"]} if slow else {"type": "crashed", "signal": ended}
        return json.dumps(told).encode()
    with contextlib.suppress(BlockingIOError):
        if os.WEXITSTATUS(status) == 0:
            return os.read(read, _PIPE_BYTES)
    sys.exit("the process that times the model ended without an answer")


def _give_up(*_: object) -> None:
    sys.exit("the process that times the model did not end")


# --- The process that does -------------------------------------------------------------------------------------------


def answer(job: dict[str, Any], model: bytes) -> dict[str, Any]:
    """Give the document for a model. A runtime that refuses it is an answer; any other exception is not."""
    _keep_apart()
    package, _, version = job["runtime"].partition(" ")
    if _version(package) != version:
        found = [f"{name} {_version(name)}" for name in _INTERPRETERS if _version(name)]
        return {"type": "no runtime", "found": found}
    interpreter = importlib.import_module(_INTERPRETERS[package]).Interpreter
    _limit(job["limit"], job["threads"])
    try:
        running = interpreter(model_content=model, num_threads=job["threads"])
        running.allocate_tensors()
        windows = list(timed(running, job["repeats"], int(job["seconds"] * 1e9)))
    except (ValueError, RuntimeError, TypeError, MemoryError) as error:
        return {"type": "cannot run", "reason": " ".join(str(error).split())[:400] or type(error).__name__}
    return {"type": "timed", "machine": _machine(), "governor": _governor(), "windows": windows}


def timed(running: Any, repeats: int, nanoseconds: int) -> Any:
    """Give each window: how many inferences, how long they took, and a checksum of the input, another in each.

    MLPerf Tiny: each window has an input of its own, a warm-up before it, and lasts at least so long. Feeding the input
    is not timed; calling the runtime from Python is, which took half a microsecond of an inference on a server.
    """
    gc.disable()
    feed(running, 0)
    block = 1
    while _BLOCKS * _run(running.invoke, block) < nanoseconds:
        block *= 2
    for number in range(repeats):
        checksum = feed(running, number)
        _run(running.invoke, block)
        count = took = 0
        while took < nanoseconds:
            took += _run(running.invoke, block)
            count += block
        yield {"inferences": count, "nanoseconds": took, "input": checksum}


def _run(invoke: Callable[[], None], times: int) -> int:
    """Give the nanoseconds that so many inferences take, by a clock that nobody sets."""
    began = time.monotonic_ns()
    for _ in range(times):
        invoke()
    return time.monotonic_ns() - began


def feed(running: Any, number: int) -> int:
    """Set all inputs to random numbers that are the same on every board; give their checksum.

    Floats lie between -1 and 1, integers of 8 and 16 bits anywhere; wider ones are 0 or 1, since they may be indices.
    """
    import numpy as np  # noqa: PLC0415 - in the process with limits only

    random = np.random.default_rng([_SEED, number])
    checksum = 0
    for entry in running.get_input_details():
        dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
        if dtype.kind == "f":
            values = random.uniform(-1, 1, shape).astype(dtype)
        elif dtype.kind in "iu" and dtype.itemsize <= 2:
            limits = np.iinfo(dtype)
            values = random.integers(limits.min, int(limits.max) + 1, shape).astype(dtype)
        elif dtype.kind in "iub":
            values = random.integers(0, 2, shape).astype(dtype)
        else:
            raise TypeError(f"inputs of type {dtype} cannot be drawn")
        running.set_tensor(entry["index"], values)
        checksum = zlib.crc32(values.tobytes(), checksum)
    return checksum


# --- Limits and facts ------------------------------------------------------------------------------------------------


def _keep_apart() -> None:
    """Give up what a model must not have: standard input and output, files, rights, and a life beyond this one."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # what a native library prints is no answer
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    os.nice(_NICE)
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        prctl(_GAIN_NO_RIGHTS, 1, 0, 0, 0)


def _limit(seconds: int, threads: int) -> None:
    """Limit what is used from here on, after the runtime is there: memory, time, and time on processors."""
    page = os.sysconf("SC_PAGE_SIZE")
    used = int(_text("/proc/self/statm").split()[0]) * page
    memory = used + os.sysconf("SC_PHYS_PAGES") * page // 2
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    spent = resource.getrusage(resource.RUSAGE_SELF)
    processors = int(spent.ru_utime + spent.ru_stime) + 1 + seconds * max(threads, 1)
    resource.setrlimit(resource.RLIMIT_CPU, (processors, processors + 1))
    signal.alarm(seconds)


def _version(package: str) -> str:
    """Give the version of an installed package; empty if there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _machine() -> str:
    """Name the board as its firmware does, with its architecture and kernel."""
    name = _text("/proc/device-tree/model") or _text("/sys/class/dmi/id/product_name") or "a board"
    return f"{name} ({platform.machine()}, {platform.system()} {platform.release()})"


def _governor() -> str:
    """Say what sets the clock: performance, ondemand; empty where nothing says so."""
    return _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")[:200].strip("\0 \n")
    except OSError:
        return ""


if __name__ == "__main__":
    main()
