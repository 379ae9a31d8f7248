"""Attacks that take time, memory, processes, disk or attention, so that everybody else has to wait."""

from __future__ import annotations

import json
import os
from pathlib import Path

from coursekit.attacks.kinds import Place, code, hands_in, notebook

PROCESSES = "a limit on processes, and an end that takes the whole tree"
MEMORY = "a limit on memory, over all processes of the box"
DISK = "file systems in memory, each of a stated size"
OUTPUT = "a limit on what is printed, counted before it is read"
TIME = "a limit on each cell and on the notebook"
READING = "bounded reading, before anything is built of it"

_BLOCKED = {"earns": {"five": 0, "arrays": 0, "again": 0}}


# --- processes --------------------------------------------------------------------------------------------------------


@code(PROCESSES, shows="refused after many")
def a_fork_bomb():
    """Fork for ever, children too, each in a session of its own, and hold on to all that could be had."""
    import os
    import signal

    mine, refused = os.getpid(), 0
    while refused < 50:
        try:
            if os.fork() == 0:
                os.setsid()
                refused = 0
        except BlockingIOError:
            refused += 1
    if os.getpid() != mine:
        signal.pause()
    print("refused after many")


@code(PROCESSES)
def a_thread_bomb(attempt):
    """Start threads until the machine has no more."""
    import threading

    hold = threading.Event()

    def start():
        for _ in range(2000):
            threading.Thread(target=hold.wait, daemon=True).start()

    attempt("threads", start)
    hold.set()


@code(PROCESSES, shows="left behind: 3")
def daemons_left_behind(place):
    """Leave processes behind that have left their parent and their session, and ignore being asked to end."""
    import subprocess

    script = f"cd /; trap '' HUP TERM INT; : {place['token']}; while :; do sleep 1; done"
    for _ in range(3):
        subprocess.run(["/bin/sh", "-c", f'setsid /bin/sh -c "{script}" >/dev/null 2>&1 &'], check=True)
    print("left behind: 3")


@code(PROCESSES, shows="hooks: set")
def exit_hooks_that_never_end():
    """Never come to an end when the kernel is told to: endless exit hooks, and threads that no one waits for."""
    import atexit
    import signal
    import threading

    def forever():
        while True:
            threading.Event().wait(1)

    atexit.register(forever)
    threading.Thread(target=forever).start()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    print("hooks: set")


# --- memory -----------------------------------------------------------------------------------------------------------


@code(MEMORY)
def one_huge_array(attempt):
    """Make one array of 20 GB."""
    import numpy as np

    attempt("20 GB", lambda: np.ones(2_500_000_000).sum())


@code(MEMORY, stops="memory limit", **_BLOCKED)
def memory_in_many_children():
    """Take a little memory in each of many processes."""
    import os
    import time

    for _ in range(4):
        os.fork()
    held = bytearray(b"x") * 60_000_000
    time.sleep(60)
    del held


@code(DISK)
def memory_that_is_shared(attempt):
    """Fill the shared memory of the machine."""
    import mmap

    def fill():
        with open("/dev/shm/held", "wb") as file:
            for _ in range(500):
                file.write(b"x" * 1_000_000)
        return mmap.PAGESIZE

    attempt("500 MB", fill)


@code("a filter of system calls")
def memory_that_no_process_shows(attempt):
    """Hold memory that counts in no process: memfd, memfd_secret, System V segments and message queues."""
    import ctypes
    import errno
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    x86 = {"memfd_create": 319, "memfd_secret": 447, "shmget": 29, "msgget": 68, "semget": 64}
    arm = {"memfd_create": 279, "memfd_secret": 447, "shmget": 194, "msgget": 186, "semget": 190}

    def call(number):
        if libc.syscall(number, b"x", 0, 0) < 0 and ctypes.get_errno() == errno.ENOSYS:
            raise OSError(errno.ENOSYS, "there is no such call")

    for name, number in (x86 if os.uname().machine == "x86_64" else arm).items():
        attempt(name, lambda number=number: call(number))


@code("a limit on open files and on sockets")
def memory_in_sockets_and_pipes(attempt):
    """Hold memory in the buffers of sockets and pipes."""
    import os
    import socket

    kept = []

    def fill():
        while True:
            one, other = socket.socketpair()
            one.setblocking(False)
            reading, writing = os.pipe()
            os.set_blocking(writing, False)
            kept.extend([one, other, reading, writing])
            for send in (lambda: one.send(b"x" * 1_000_000), lambda: os.write(writing, b"x" * 1_000_000)):
                try:
                    while send():
                        pass
                except BlockingIOError:
                    pass

    attempt("sockets and pipes", fill)
    for each in kept:
        each.close() if isinstance(each, socket.socket) else os.close(each)


# --- disk -------------------------------------------------------------------------------------------------------------


@code(DISK)
def one_big_file(attempt):
    """Write one file of 10 GB."""

    def write():
        with open("big", "wb") as file:
            for _ in range(10_000):
                file.write(b"x" * 1_000_000)

    attempt("10 GB", write)


@code("a limit on the number of files", stops="the limit of 20,000 files", **_BLOCKED)
def many_files():
    """Make as many empty files as there is time for."""
    import os

    number = 0
    while True:
        os.close(os.open(f"/tmp/{number}", os.O_CREAT))
        number += 1


@code(DISK)
def files_without_a_name(attempt):
    """Fill the disk with files that no folder names any more."""
    import os

    def fill():
        held = []
        while len(held) < 900:
            held.append(os.open("unnamed", os.O_CREAT | os.O_WRONLY))
            os.unlink("unnamed")
            os.write(held[-1], b"x" * 1_000_000)

    attempt("900 MB", fill)


@code("file systems in memory that end with the box; lists of files that stop at a depth", shows="deep: 3000")
def deep_folders():
    """Nest thousands of folders, so that whoever deletes or lists them overruns."""
    import os

    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
    os.chdir("/home/student")
    print("deep: 3000")


@hands_in(READING)
def deep_folders_handed_in(folder: Path, _place: Place) -> None:
    """Hand in a thousand nested folders."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)


@hands_in("a limit on what is taken along")
def a_sparse_file(folder: Path, _place: Place) -> None:
    """Hand in a file of a terabyte that takes no room on the disk."""
    with (folder / "data.bin").open("wb") as file:
        file.truncate(10**12)


@hands_in("what does not fit is left out, with a note", shows="did not fit into the sandbox")
def files_that_do_not_fit(folder: Path, _place: Place) -> None:
    """Hand in more than the box has room for, so that it breaks while it is filled."""
    for number in range(6):
        (folder / f"data{number}.bin").write_bytes(bytes(5_000_000))


# --- output -----------------------------------------------------------------------------------------------------------


@code(OUTPUT, stops="printed more than", **_BLOCKED)
def a_flood_of_lines():
    """Print without end."""
    while True:
        print("x" * 80)


@code(OUTPUT, stops="printed more than", **_BLOCKED)
def one_huge_message():
    """Send one message of 50 MB."""
    print("x" * 50_000_000)


@code(OUTPUT, stops="printed more than", **_BLOCKED)
def a_flood_of_displays():
    """Display objects without end, each changed again and again."""
    from IPython.display import display

    shown = display("x", display_id=True)
    while True:
        shown.update({"text/plain": "x" * 1000})


@code(TIME, shows="drop", stops="more than 2 seconds", **_BLOCKED)
def output_that_drips():
    """Print a little now and then until the very end, so that a reader who waits for silence waits for ever."""
    import signal
    import time

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        print("drop", flush=True)
        time.sleep(0.05)


@code("a limit on malformed messages", stops="not Jupyter's", **_BLOCKED)
def messages_that_are_none():
    """Send thousands of messages that no reader of Jupyter's expects, with a valid signature."""
    from IPython import get_ipython

    kernel = get_ipython().kernel
    parent = kernel.get_parent()
    for number in range(2000):
        for content in ({"name": number}, {"name": ["deep"] * 50, "text": {"a": None}}, {"data": number}):
            kernel.session.send(kernel.iopub_socket, "stream", content=content, parent=parent)
            kernel.session.send(kernel.iopub_socket, "error", content=content, parent=parent)


@code(OUTPUT, earns={"five": 0, "arrays": 0, "again": 0}, shows="defined")
def an_answer_without_end():
    """Return values that are endless: nested lists, numbers of a million digits, arrays of a terabyte."""
    import numpy as np

    calls = []

    def double(x):
        calls.append(x)
        if len(calls) == 1:
            deep = []
            for _ in range(100_000):
                deep = [deep]
            return deep
        return 10**1_000_000 if len(calls) == 2 else np.lib.stride_tricks.as_strided(np.zeros(1), (10**12,), (0,))

    print("defined")


# --- time -------------------------------------------------------------------------------------------------------------


@code(TIME, shows="TimeLimit|more than 2 seconds")
def an_endless_loop():
    """Loop for ever."""
    while True:
        pass


@code(TIME, stops="more than 2 seconds", **_BLOCKED)
def an_endless_loop_that_ignores_signals():
    """Loop for ever, and ignore being asked to stop."""
    import signal

    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            continue
    while True:
        pass


@code(TIME, earns={"five": 0, "arrays": 0, "again": 0}, shows="defined")
def functions_that_never_return():
    """Loop for ever only when a check calls."""

    def double(x):
        while True:
            pass

    print("defined")


@code("a kernel that has no one to ask", shows="StdinNotImplementedError|not support input")
def waiting_for_an_answer():
    """Ask the grader for input, and wait for it."""
    input("What is the answer? ")


@code(TIME, stops="more than 2 seconds", **_BLOCKED)
def one_call_that_never_ends():
    """Spend the time in one call of a library, where Python cannot be interrupted."""
    sum(range(10**15))


# --- what is handed in ------------------------------------------------------------------------------------------------


@hands_in(READING, earns={"five": 0, "arrays": 0, "again": 0}, shows="larger|at most|accepted")
def a_huge_notebook(folder: Path, place: Place) -> None:
    """Hand in a notebook of 200 MB."""
    file, _ = notebook(folder, place)
    with file.open("r+b") as opened:
        opened.seek(200_000_000)
        opened.write(b" ")


@hands_in(READING)
def a_notebook_full_of_outputs(folder: Path, place: Place) -> None:
    """Hand in a notebook with 40 MB of stored outputs."""
    file, nb = notebook(folder, place)
    code_cell = next(cell for cell in nb["cells"] if cell["cell_type"] == "code")
    code_cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 1_000_000}] * 40
    file.write_text(json.dumps(nb))


@hands_in(READING, earns={"five": 0, "arrays": 0, "again": 0}, shows="not one that Jupyter can open")
def deep_json(folder: Path, place: Place) -> None:
    """Hand in JSON that nests a million lists."""
    file, _ = notebook(folder, place)
    file.write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": ' + "[" * 10**6 + "]" * 10**6 + "}")


@hands_in(READING, earns={"five": 0, "arrays": 0, "again": 0}, shows="cells|read|notebook")
def a_notebook_of_a_million_cells(folder: Path, place: Place) -> None:
    """Hand in a notebook of two hundred thousand cells."""
    file, nb = notebook(folder, place)
    extra = {"cell_type": "markdown", "metadata": {}, "source": "x"}
    nb["cells"] = [extra] * 200_000 + nb["cells"]
    file.write_text(json.dumps(nb))


@hands_in(READING)
def a_number_of_a_million_digits(folder: Path, place: Place) -> None:
    """Put a number of a million digits where a notebook has an execution count."""
    file, nb = notebook(folder, place)
    nb["cells"][1]["execution_count"] = 7_777_777
    file.write_text(json.dumps(nb).replace("7777777", "7" * 10**6))
