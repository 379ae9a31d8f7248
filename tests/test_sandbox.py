"""Boxes and the kernels in them: what they do for honest code, and what hostile code gets."""

from __future__ import annotations

import ast
import json
import os
import platform
import select
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import coursekit
import struck
from coursekit import sandbox, wire
from coursekit.errors import MissingWork, SandboxError, UnreadableWork
from coursekit.records import Limits
from coursekit.sandbox import bwrap, mounts
from coursekit.sandbox.box import closing
from coursekit.sandbox.bwrap import BwrapBox
from coursekit.sandbox.kernel import Kernel
from coursekit.sandbox.probe import probe
from coursekit.sandbox.program import run, start
from coursekit.sandbox.unboxed import UnboxedBox
from coursekit.sandbox.watch import Watch
from coursekit.warm import Zygote

pytestmark = pytest.mark.box

LIMITS = Limits(memory_bytes=1_000_000_000, disk_bytes=50_000_000, output_bytes=1_000_000, message_bytes=2_000_000)
SMALL = Limits(memory_bytes=200_000_000, disk_bytes=20_000_000, processes=64, output_bytes=100_000)
ORDINARY = 12345


def printed(result):
    assert result.error is None
    assert not result.stopped
    return "".join(each["text"] for each in result.outputs if each["output_type"] == "stream")


@pytest.fixture(scope="module", params=["cold", "warm"])
def zygote(request):
    """Where warm kernels come from; every test of a kernel holds for both."""
    if request.param == "cold":
        yield ""
        return
    zygote = sandbox.kernels(["numpy"])
    yield zygote.path
    zygote.close()


@pytest.fixture
def kernels(zygote):
    """Starts kernels; each ends with its test."""
    started = []

    def begin(limits=LIMITS, files=None, kind="bwrap"):
        started.append(Kernel(kind, limits, files or {}, zygote))
        return started[-1]

    yield begin
    for each in started:
        each.close()


@pytest.fixture(scope="module")
def kernel(zygote):
    """One kernel for tests that leave it as it was."""
    started = Kernel("bwrap", LIMITS, {"data/x.txt": b"hello", "y.bin": bytes(range(256))}, zygote)
    yield started
    started.close()


def in_box(script, limits=SMALL, seconds=10.0, box=BwrapBox):
    """Run Python source in a box of its own."""
    with closing(box(limits)) as made:
        return run(made, [sys.executable, "-I", "-S", "-c", script], {}, seconds=seconds)


# --- warm starts ---------------------------------------------------------------------------------------------------


@pytest.fixture
def warm_kernel():
    """Starts kernels from a zygote that has imported numpy."""
    zygote = sandbox.kernels(["numpy"])
    started = []

    def begin():
        started.append(Kernel("bwrap", LIMITS, {}, zygote.path))
        return started[-1]

    begin.zygote = zygote
    yield begin
    for each in started:
        each.close()
    zygote.close()


IMPORTED = "import sys\nprint('numpy' in sys.modules)"


def test_a_warm_kernel_has_imported_what_it_was_told_to_and_a_cold_one_has_not(warm_kernel):
    assert printed(warm_kernel().run_cell(IMPORTED, 20)) == "True\n"
    cold = Kernel("bwrap", LIMITS, {})
    try:
        assert printed(cold.run_cell(IMPORTED, 20)) == "False\n"
    finally:
        cold.close()


def test_warm_and_cold_kernels_compute_the_same_from_the_same_seed(warm_kernel):
    source = (
        "import numpy as np\nnp.random.seed(3)\nprint(np.random.rand(3), np.random.default_rng(4).normal(), hash('a'))"
    )
    cold = Kernel("bwrap", LIMITS, {})
    try:
        assert printed(warm_kernel().run_cell(source, 20)) == printed(cold.run_cell(source, 20))
    finally:
        cold.close()


LOOKED_UP = """
import inspect, sys
print('stack_data' in sys.modules, len(inspect.modulesbyfile) > 100)
"""


def test_a_warm_kernel_has_looked_up_all_that_its_first_traceback_needs(warm_kernel):
    assert printed(warm_kernel().run_cell(LOOKED_UP, 20)) == "True True\n"


def test_two_warm_kernels_draw_different_numbers_without_a_seed(warm_kernel):
    source = "import random, numpy as np\nprint(np.random.rand(), random.random())"
    assert printed(warm_kernel().run_cell(source, 20)) != printed(warm_kernel().run_cell(source, 20))


def test_a_warm_kernel_finds_nothing_of_the_zygote_but_its_imports(warm_kernel):
    source = (
        "import os\nprint([os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')"
        " if os.path.exists(f'/proc/self/fd/{n}')])"
    )
    opened = {file.partition(":")[0] for file in ast.literal_eval(printed(warm_kernel().run_cell(source, 20)))}
    history = f"{mounts.HOME}/.ipython/profile_default/history.sqlite"
    assert opened <= {"/dev/null", "pipe", "socket", "anon_inode", history}


def test_a_zygote_that_dies_is_started_again(warm_kernel):
    assert printed(warm_kernel().run_cell(IMPORTED, 20)) == "True\n"
    warm_kernel.zygote._process.kill()
    assert printed(warm_kernel().run_cell(IMPORTED, 20)) == "True\n"


def test_a_zygote_whose_imports_start_threads_refuses_and_kernels_start_cold(tmp_path):
    (tmp_path / "threaded.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    zygote = Zygote("coursekit.sandbox.stepping:step", ["numpy", "threaded"], {"PYTHONPATH": str(tmp_path)})
    started = Kernel("bwrap", LIMITS, {}, zygote.path)
    try:
        assert printed(started.run_cell(IMPORTED, 20)) == "False\n"
        assert zygote.cold.endswith(" threads after its imports, and a fork has only one")
    finally:
        started.close()
        zygote.close()


def test_a_module_that_cannot_be_imported_is_named_and_the_others_are_warm():
    zygote = sandbox.kernels(["no_such_module", "numpy"])
    started = Kernel("bwrap", LIMITS, {}, zygote.path)
    try:
        assert printed(started.run_cell(IMPORTED, 20)) == "True\n"
        assert zygote.missing == ("no_such_module: ModuleNotFoundError",)
    finally:
        started.close()
        zygote.close()


# --- an honest notebook ---------------------------------------------------------------------------------------------


def test_a_cell_runs_and_its_outputs_come_back(kernel):
    result = kernel.run_cell("import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7", 20)
    assert [each.get("text") for each in result.outputs[:2]] == ["out\n", "err\n"]
    assert result.outputs[2]["data"] == {"text/plain": "42"}
    assert result.error is None
    assert result.stopped == ""


def test_an_exception_is_reported_and_the_kernel_goes_on(kernel):
    result = kernel.run_cell("1 / 0", 20)
    assert (result.error.ename, result.error.evalue) == ("ZeroDivisionError", "division by zero")
    assert result.outputs[-1]["output_type"] == "error"
    assert printed(kernel.run_cell("print('still here')", 20)) == "still here\n"


def test_files_lie_in_the_working_folder(kernel):
    source = "import os\nprint(os.getcwd(), open('data/x.txt').read(), len(open('y.bin', 'rb').read()))"
    assert printed(kernel.run_cell(source, 20)) == f"{mounts.WORK} hello 256\n"


def test_a_function_is_called_with_arrays_and_gives_arrays(kernel):
    kernel.run_cell("def double(x, more):\n    return x * 2, [more, float('nan')], {'sum': x.sum()}", 20)
    answer = kernel.call("double", [np.arange(5, dtype="int8"), "text"], 20)
    doubled, listed, named = wire.decode(answer.value.encode())
    assert doubled.dtype == np.int8
    assert doubled.tolist() == [0, 2, 4, 6, 8]
    assert listed[0] == "text"
    assert named["sum"] == 10


def test_arguments_larger_than_the_message_limit_are_taken(kernel):
    kernel.run_cell("def total(x): return int(x.sum())", 20)
    answer = kernel.call("total", [np.ones(LIMITS.message_bytes, "int64")], 20)
    assert wire.decode(answer.value.encode()) == LIMITS.message_bytes


def test_what_a_function_prints_is_not_its_answer(kernel):
    kernel.run_cell("def chatty():\n    print('a lot ' * 1000)\n    return 1", 20)
    assert wire.decode(kernel.call("chatty", [], 20).value.encode()) == 1


def test_a_function_that_is_missing_or_none_is_said(kernel):
    kernel.run_cell("three = 3", 20)
    assert kernel.call("nowhere", [], 20).missing
    assert (kernel.call("three", [], 20).missing, kernel.call("three", [], 20).message) == (True, "int")


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        ("raise ValueError('no')", "ValueError", "no"),
        ("import sys; sys.exit(3)", "SystemExit", "3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("return missing", "NameError", "name 'missing' is not defined"),
    ],
)
def test_what_a_function_raises_is_its_answer(kernel, body, name, message):
    kernel.run_cell(f"def wrong():\n    {body}", 20)
    answer = kernel.call("wrong", [], 20)
    assert (answer.raised, answer.message, answer.stopped) == (name, message, "")


def test_a_value_that_cannot_cross_is_said(kernel):
    kernel.run_cell("def odd(): return object()", 20)
    assert kernel.call("odd", [], 20).unsendable == "it is a object"


def test_arguments_that_cannot_cross_are_the_callers_mistake(kernel):
    with pytest.raises(wire.Unsendable):
        kernel.call("double", [object()], 20)


def test_a_file_that_the_code_made_is_read(kernel):
    kernel.run_cell("import os\nos.mkdir('out')\nopen('out/m.bin', 'wb').write(b'abc' * 100)", 20)
    assert kernel.read("out/m.bin", 300) == b"abc" * 100
    with pytest.raises(UnreadableWork, match="at most 299"):
        kernel.read("out/m.bin", 299)
    with pytest.raises(MissingWork):
        kernel.read("out/none", 10)


def test_what_was_used_is_known(kernel):
    kernel.run_cell("sum(range(3_000_000))", 20)
    kernel.box.watch._sum(0)
    assert kernel.cpu_seconds > 0.05
    assert kernel.box.watch.peak_memory_bytes > 10_000_000


# --- promises -------------------------------------------------------------------------------------------------------


def test_every_promise_of_a_box_is_held_on_this_machine():
    held = probe("bwrap")
    assert [each for each in held if not each.held] == []
    assert len(held) == 17


def test_without_a_sandbox_it_is_said_what_is_not_held():
    open_ways = {each.limit for each in probe("none") if not each.held}
    assert {"network", "other processes", "read-only root", "rights", "disk"} <= open_ways
    assert not {"whole tree", "memory", "output", "cell time", "message size", "artifacts"} & open_ways


def test_the_environment_in_a_box_is_the_boxs_own(kernel):
    source = (
        "for p in ('self', 1):\n    said = open(f'/proc/{p}/environ').read().split('\\0')\n"
        "    print(sorted(each.partition('=')[0] for each in said if each))"
    )
    own, first = printed(kernel.run_cell(source, 20)).splitlines()
    assert set(json.loads(own.replace("'", '"'))) <= {"HOME", *coursekit.sandbox.program.ENVIRONMENT}
    assert first == "['PATH']"


def test_hidden_files_cannot_be_seen(kernel, tmp_path):
    secret = tmp_path / "hidden.py"
    secret.write_text("answer = 42")
    repository = Path(coursekit.__file__).parents[2]
    ways = [
        str(secret),
        f"/proc/1/root{secret}",
        "/etc/shadow",
        "/root/.ssh",
        str(repository / "tests"),
        f"/proc/1/cwd/../../..{repository}/tests",
    ]
    source = f"import os\nprint([p for p in {ways!r} if os.path.exists(p)])"
    assert printed(kernel.run_cell(source, 20)) == "[]\n"


def test_a_box_is_entered_once():
    with closing(BwrapBox(SMALL)) as box:
        run(box, ["/bin/true"], {}, seconds=10)
        with pytest.raises(SandboxError, match="entered once"):
            run(box, ["/bin/true"], {}, seconds=10)


def test_a_program_that_does_not_exist_is_said():
    with closing(BwrapBox(SMALL)) as box, pytest.raises(SandboxError, match="No such file"):
        run(box, ["/nope"], {}, seconds=10)


def test_files_that_do_not_fit_into_a_box_are_said():
    with closing(BwrapBox(SMALL)) as box, pytest.raises(SandboxError, match="could not be started"):
        run(box, ["/bin/true"], {f"{box.work}/big": bytes(SMALL.disk_bytes + 100_000)}, seconds=10)


# --- limits ---------------------------------------------------------------------------------------------------------


def stopped(kernels, source, seconds=20.0, limits=LIMITS):
    """How a kernel that runs this is stopped; afterwards it stays so."""
    hostile = kernels(limits)
    reason = hostile.run_cell(source, seconds).stopped
    assert hostile.run_cell("1", 5).stopped == reason
    assert hostile.call("f", [], 5).stopped == reason
    return reason


def test_an_endless_cell_that_obeys_costs_only_itself(kernel):
    result = kernel.run_cell("kept = 1\nwhile True: pass", 1)
    assert result.late
    assert not result.stopped
    assert (result.error.ename, result.error.evalue) == ("TimeLimit", "it ran for more than 1 seconds")
    assert kernel.run_cell("print(kept)", 5).outputs[0]["text"] == "1\n"


def test_an_endless_function_that_obeys_leaves_the_kernel_as_it_was(kernel):
    kernel.run_cell("def endless():\n    while True: pass\ndef seven(): return 7", 5)
    assert kernel.call("endless", [], 1).stopped == "it ran for more than 1 seconds"
    assert kernel.call("seven", [], 5).value == "7"


def test_an_endless_cell_that_does_not_obey_is_ended(kernels):
    began = time.monotonic()
    source = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    assert stopped(kernels, source, 1) == "it ran for more than 1 seconds"
    assert time.monotonic() - began < 15


def test_endless_output_is_ended(kernels):
    reasons = ("it printed more than 1,000,000 bytes", "it printed more than 2,000,000 bytes at once")
    assert stopped(kernels, "while True: print('x' * 1000)") in reasons


def test_one_huge_message_is_ended(kernels):
    assert stopped(kernels, "print('x' * 9_000_000)") == "it printed more than 2,000,000 bytes at once"


def test_taking_memory_in_many_processes_is_ended(kernels):
    source = "import os, time\nfor _ in range(3): os.fork()\nx = bytearray(b'x') * 100_000_000\ntime.sleep(20)"
    reason = stopped(kernels, source, limits=Limits(memory_bytes=500_000_000))
    assert reason == "it went over the memory limit of 500,000,000 bytes"


def test_more_memory_than_one_process_may_have_is_an_exception(kernel):
    assert kernel.run_cell("import numpy\nnumpy.ones(10**10)", 20).error.ename == "MemoryError"


def test_memory_of_a_process_whose_first_thread_has_ended_counts():
    number = {"x86_64": 60, "aarch64": 93}[platform.machine()]
    script = (
        "import ctypes, threading, time\n"
        "def hold():\n    x = bytearray(b'x') * 400_000_000\n    time.sleep(20)\n"
        f"threading.Thread(target=hold).start()\nctypes.CDLL(None).syscall({number}, 0)"
    )
    assert in_box(script).stopped == "the memory limit of 200,000,000 bytes"


def test_many_files_are_ended(kernels):
    source = "for i in range(10**6): open(f'/dev/shm/{i}', 'w').close()"
    assert stopped(kernels, source) == "it went over the limit of 20,000 files"


def test_many_sockets_are_ended():
    script = (
        "import os, socket, time\nfor _ in range(2): os.fork()\n"
        "held = [socket.socketpair() for _ in range(400)]\ntime.sleep(20)"
    )
    assert in_box(script).stopped == "the limit of 500 sockets"


def test_a_fork_bomb_ends_with_its_box():
    script = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    with closing(BwrapBox(SMALL)) as box:
        assert run(box, [sys.executable, "-I", "-S", "-c", script], {}, seconds=1).stopped == "the time limit"


def test_a_daemon_that_holds_the_output_does_not_hold_the_grader():
    script = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\nprint('done')"
    finished = in_box(script)
    assert (finished.returncode, finished.stdout, finished.stopped) == (0, b"done\n", "")
    assert finished.wall_seconds < 5


def test_endless_output_of_a_program_is_ended():
    finished = in_box("while True: print('x' * 1000)")
    assert finished.stopped == "the limit for output"
    assert len(finished.stdout) < 300_000


def test_what_a_program_used_is_known():
    finished = in_box("x = bytearray(b'x') * 50_000_000\nsum(range(2_000_000))")
    assert finished.returncode == 0
    assert finished.peak_memory_bytes > 50_000_000
    assert finished.cpu_seconds > 0.02


def test_a_watch_that_breaks_ends_the_box():
    ended = threading.Event()

    def broken():
        raise ValueError("no")

    watch = Watch(LIMITS, -1, broken, ended.set)
    assert ended.wait(10)
    assert watch.our_fault
    assert "ValueError: no" in watch.reason


def test_a_box_whose_watch_broke_is_nobodys_failure_but_ours(kernels):
    broken = kernels()
    broken.box.watch.our_fault = True
    broken.box.watch.give_up("a lack of memory on the grading machine")
    with pytest.raises(SandboxError, match="lack of memory"):
        broken.run_cell("1", 5)


# --- hostile kernels ------------------------------------------------------------------------------------------------

BY_ITSELF = "the kernel ended by itself, as after os._exit() or a crash"


@pytest.mark.parametrize(
    "source",
    ["import os; os._exit(0)", "import os; os.kill(-1, 9)\nwhile True: pass", "import ctypes; ctypes.string_at(0)"],
    ids=["exit", "kill all", "crash"],
)
def test_a_kernel_that_ends_is_not_a_cell_that_ended(kernels, source):
    assert stopped(kernels, source) == BY_ITSELF


def test_what_was_printed_before_the_end_is_kept(kernels):
    result = kernels().run_cell(
        "import os, sys\nprint('last words', flush=True)\nimport time; time.sleep(0.3)\nos._exit(1)", 20
    )
    assert result.outputs[0]["text"] == "last words\n"
    assert result.stopped == BY_ITSELF


def test_closing_the_sockets_is_an_end(kernels):
    source = "import os, time\nfor i in range(5, 60):\n    try: os.close(i)\n    except OSError: pass\ntime.sleep(30)"
    assert stopped(kernels, source) in ("it closed the kernel's sockets", BY_ITSELF)


FORGE = """
import os, socket, threading, json
from ipykernel.kernelapp import IPKernelApp
shell = get_ipython()
iopub = IPKernelApp.instance().iopub_socket
def own(name):
    for fd in range(3, 200):
        try:
            made = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        if made.family == socket.AF_UNIX and not made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            if str(made.getsockname()).endswith(name):
                made.setblocking(True)
                return made
"""


def test_a_message_that_never_ends_does_not_fill_the_graders_memory(kernels):
    frame = "b'\\3' + (1 << 19).to_bytes(8, 'big') + bytes(1 << 19)"
    source = f"{FORGE}\nto, frame = own('k-2'), {frame}\nwhile True: to.sendall(frame)"
    # The kernel's own thread may have been in the middle of a frame.
    assert stopped(kernels, source) in (
        "it printed more than 2,000,000 bytes at once",
        "it sent messages that are not Jupyter's",
    )


def test_frames_without_end_do_not_either(kernels):
    source = f"{FORGE}\nto = own('k-2')\nwhile True: to.sendall(b'\\1\\0' * 10000)"
    assert stopped(kernels, source) == "it printed more than 2,000,000 bytes at once"


def test_what_is_no_frame_at_all_is_an_end(kernels):
    source = f"{FORGE}\nown('k-2').sendall(b'\\xff\\xff' * 50)\nimport time; time.sleep(30)"
    reasons = ("it sent messages that are not Jupyter's", "it printed more than 2,000,000 bytes at once")
    assert stopped(kernels, source) in reasons


MALFORMED = """
session, parent = shell.kernel.session, shell.kernel.get_parent('shell')
def send(content, kind='stream'):
    header = session.msg_header(kind)
    parts = [session.pack(header), session.pack(parent['header']), b'{}', content]
    iopub.send_multipart([b'x', b'<IDS|MSG>', session.sign(parts), *parts])
hostile = [b'[' * 50000, b'\\xff', b'1' * 5000, b'null', b'[]', b'NaN', b'{}']
"""


def test_a_few_malformed_messages_do_not_disturb(kernels):
    result = kernels().run_cell(f"{FORGE}{MALFORMED}\nfor each in hostile: send(each)\nprint('after')", 20)
    assert printed(result) == "after\n"


def test_many_malformed_messages_are_an_end(kernels):
    assert stopped(kernels, f"{FORGE}{MALFORMED}\nfor each in hostile * 5: send(each)") == (
        "it sent messages that are not Jupyter's"
    )


def test_a_forged_answer_without_the_token_is_not_taken(kernels):
    hostile = kernels()
    forged = json.dumps({"token": "0" * 32, "value": "1"})
    hostile.run_cell(
        f"{FORGE}{MALFORMED}\ndef f():\n"
        f"    data = {{'application/vnd.coursekit.answer+json': {forged!r}}}\n"
        "    send(json.dumps({'data': data, 'metadata': {}}).encode(), 'display_data')\n    return 2",
        20,
    )
    assert wire.decode(hostile.call("f", [], 20).value.encode()) == 2


def test_a_replaced_socket_leads_nowhere(kernels):
    hostile = kernels()
    source = (
        "import os, socket\nos.chdir('/run/kernel')\nfor name in os.listdir('.'):\n    os.unlink(name)\n"
        "    if name != 'connection.json': os.symlink('/proc/1/fd/0', name)\nos.chdir('/home/student')\nprint('done')"
    )
    assert printed(hostile.run_cell(source, 20)) == "done\n"
    assert printed(hostile.run_cell("print('same kernel')", 20)) == "same kernel\n"


def test_processes_that_keep_forking_cannot_keep_a_file_from_being_read(kernels):
    hostile = kernels()
    hostile.run_cell(
        "import os\nopen('model', 'wb').write(b'model')\n"
        "for _ in range(4):\n    if os.fork() == 0:\n"
        "        while True:\n            if os.fork(): os._exit(0)\n",
        20,
    )
    began = time.monotonic()
    assert hostile.read("model", 10) == b"model"
    assert time.monotonic() - began < 10


def test_a_file_swapped_for_links_all_the_time_never_leads_out(kernels):
    hostile = kernels()
    hostile.run_cell(
        "import os\nopen('model', 'wb').write(b'model')\nif os.fork() == 0:\n    while True:\n"
        "        os.symlink('/etc/passwd', 'new'); os.rename('new', 'model')\n"
        "        open('new', 'wb').write(b'model'); os.rename('new', 'model')\n",
        20,
    )
    for _ in range(20):
        try:
            assert hostile.read("model", 100) in (b"model", b"")
        except UnreadableWork as error:
            assert "link" in str(error)  # noqa: PT017 - either is right


# --- nothing remains ------------------------------------------------------------------------------------------------


def holders(token):
    """The processes of this machine with this word on their command line."""
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and token.encode() in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def left_behind():
    """What a box could leave: descriptors, threads, mounts, children."""
    descriptors = {str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.exists()}
    children = [
        path.name
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and f"\nPPid:\t{os.getpid()}\n" in read_status(path)
    ]
    return descriptors, threading.active_count(), Path("/proc/self/mountinfo").read_text(), children


def read_status(process):
    try:
        return (process / "status").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize("kind", ["bwrap", "none"])
def test_after_the_end_nothing_remains(kernels, kind):
    kernels(kind=kind).close()  # what is made once for all is made now
    before = left_behind()
    token = f"token{os.getpid()}"
    started = kernels(kind=kind)
    folder = started.box.work
    started.run_cell(
        "import subprocess\nsubprocess.run(['/bin/sh', '-c', '''cd /; trap '' HUP TERM\n"
        f"setsid sh -c \"trap '' TERM; : {token}; while :; do sleep 1; done\" >/dev/null 2>&1 &'''])",
        20,
    )
    assert holders(token)
    started.close()
    started.close()
    assert holders(token) == []
    assert left_behind() == before
    assert not Path(folder).exists()
    assert "coursekit-" not in folder or not Path(folder).parent.exists()


@pytest.mark.parametrize("kind", [BwrapBox, UnboxedBox])
def test_a_program_that_cannot_start_leaves_nothing(kind):
    before = left_behind()
    with closing(kind(SMALL)) as box:
        program = start(box, ["/nope"], {})
        program.process.wait()
        with pytest.raises(SandboxError, match="No such file"):
            program.poll()
        program.close()
    assert left_behind() == before


def test_a_folder_without_a_sandbox_is_deleted_however_deep_it_is():
    script = (
        "import os\nfor _ in range(1200):\n    os.mkdir('d'); os.chdir('d')\n"
        "os.chdir(os.environ['HOME'])\nos.mkdir('locked'); open('locked/x', 'w').close(); os.chmod('locked', 0)"
    )
    with closing(UnboxedBox(LIMITS)) as box:
        assert run(box, [sys.executable, "-I", "-S", "-c", script], {}, seconds=20).returncode == 0
    assert not Path(box.work).parent.exists()


GRADER = """
import sys
from coursekit.records import Limits
from coursekit.sandbox.kernel import Kernel
kernel = Kernel(sys.argv[1], Limits(), {})
daemon = ["/bin/sh", "-c", f": {sys.argv[2]}; while :; do sleep 1; done"]
kernel.run_cell(f"import subprocess; subprocess.Popen({daemon})", 20)
print("ready", flush=True)
kernel.run_cell("while True: pass", 600)
"""


def test_when_the_grader_is_killed_its_boxes_end():
    token = f"orphan{os.getpid()}"
    grader = subprocess.Popen([sys.executable, "-c", GRADER, "bwrap", token], stdout=subprocess.PIPE)
    with grader:
        assert grader.stdout.readline() == b"ready\n"
        inside = [os.pidfd_open(pid) for pid in holders(token) if pid != grader.pid]
        assert inside
        grader.kill()
    for each in inside:
        assert select.select([each], [], [], 10)[0]
        os.close(each)


# --- without root ---------------------------------------------------------------------------------------------------

AS_USER = """
import json, os, sys
from coursekit import wire
from coursekit.errors import StudentError
from coursekit.plainfile import read_below
from coursekit.records import Limits
from coursekit.sandbox.kernel import Kernel
from coursekit.sandbox.probe import probe
import numpy, pathlib, tempfile

said = {"uid": os.geteuid(), "open": [[each.limit, each.detail] for each in probe("bwrap") if not each.held]}
kernel = Kernel("bwrap", Limits(), {})
kernel.run_cell("def f(x): return x + 1", 20)
said["call"] = wire.decode(kernel.call("f", [numpy.arange(3)], 20).value.encode()).tolist()
kernel.run_cell("open('m', 'wb').write(b'model')", 20)
said["read"] = kernel.read("m", 10).decode()
said["end"] = kernel.run_cell("import os; os._exit(0)", 20).stopped
kernel.close()
with tempfile.TemporaryDirectory() as folder:
    pathlib.Path(folder, "locked").touch(0)
    try:
        read_below(pathlib.Path(folder), "locked", 10)
    except StudentError as error:
        said["locked"] = str(error)
print(json.dumps(said))
"""

REACHABLE = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
hidden=$1; kept=$2; shift 2
if [ -n "$hidden" ]; then
    mkdir /mnt/kept; mount --bind "$kept" /mnt/kept
    mount -t tmpfs -o mode=755 tmpfs "$hidden"
    mkdir -p "$kept"; mount --bind /mnt/kept "$kept"
fi
exec setpriv --reuid 12345 --regid 12345 --clear-groups "$@"
"""


@pytest.fixture
def as_user():
    """Runs Python source as a user who is not root, with the interpreter in reach."""

    def go(source):
        words = [sys.executable, "-W", "error", "-c", source]
        if os.geteuid() == 0:
            kept = Path(sys.base_prefix)
            closed = [each for each in reversed(kept.parents) if not each.stat().st_mode & stat.S_IXOTH]
            hidden = [str(closed[0]), str(kept)] if closed else ["", ""]
            words = ["unshare", "-m", "/bin/sh", "-c", REACHABLE, "sh", *hidden, *words]
        done = subprocess.run(
            words, capture_output=True, text=True, cwd="/", env={"PATH": "/usr/bin:/bin"}, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return go


def test_a_grader_who_is_not_root_gets_the_same_box(as_user):
    said = as_user(AS_USER)
    assert said["uid"] != 0
    assert said["open"] == []
    assert said["call"] == [1, 2, 3]
    assert said["read"] == "model"
    assert said["end"] == BY_ITSELF
    assert said["locked"] == "'locked' cannot be opened: Permission denied."


# --- through plain Jupyter ------------------------------------------------------------------------------------------


PLAIN = """
import sys
import nbclient, nbformat
cell = nbformat.v4.new_code_cell("import os\\nprint(os.getcwd(), os.path.exists('/etc/shadow'))")
notebook = nbformat.v4.new_notebook(cells=[cell])
nbclient.execute(notebook, kernel_name="boxed", timeout=60)
print(notebook.cells[0].outputs[0]["text"], end="")
"""


def test_plain_jupyter_runs_a_notebook_in_a_box(tmp_path):
    folder = tmp_path / "kernels" / "boxed"
    folder.mkdir(parents=True)
    config = {"limits": {"memory_bytes": 1_000_000_000}}
    spec = {
        "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python in a box",
        "language": "python",
        "interrupt_mode": "message",
        "metadata": {"kernel_provisioner": {"provisioner_name": "coursekit-box", "config": config}},
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    env = {"PATH": "/usr/bin:/bin", "JUPYTER_PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PLAIN], capture_output=True, text=True, env=env, check=True)
    assert done.stdout == f"{mounts.WORK} False\n"


# --- no sandbox -----------------------------------------------------------------------------------------------------


def test_without_bubblewrap_the_package_is_named(tmp_path):
    with pytest.raises(SandboxError) as caught:
        bwrap.program(str(tmp_path))
    assert "apt install bubblewrap" in caught.value.fix


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("bwrap: setting up uid map: Permission denied", bwrap.APPARMOR),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", bwrap.APPARMOR),
        ("bwrap: No permissions to create new namespace", bwrap.APPARMOR),
        ("the box could not be prepared: OSError: [Errno 1] unshare: Operation not permitted", bwrap.ORDINARY),
        ("bwrap: Can't find source path /home/x/.venv: Permission denied", bwrap.REACHABLE),
    ],
)
def test_what_bubblewrap_says_has_a_remedy(said, remedy):
    assert bwrap._remedy(said) == remedy


BROKEN = """
from coursekit import sandbox
from coursekit.errors import SandboxError
try:
    sandbox.require("bwrap")
except SandboxError as error:
    print(error, error.fix)
"""


def test_a_bubblewrap_that_does_not_work_is_found_before_anything_runs():
    user = [] if os.geteuid() == 0 else ["-r"]
    cover = 'mount --bind /bin/false "$0" && exec "$@"'
    words = ["unshare", "-m", *user, "/bin/sh", "-c", cover, bwrap.program(), sys.executable, "-c", BROKEN]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("no box can be made here: bubblewrap ended at once.")
    assert "apt install bubblewrap" in done.stdout


def test_a_sandbox_that_works_is_enough():
    sandbox.require("bwrap")
    sandbox.require("none")


def test_a_sandbox_of_an_unknown_name_is_said():
    with pytest.raises(SandboxError, match="no sandbox called 'vm'"):
        sandbox.open_box("vm", LIMITS)


def test_a_module_of_ours_runs_in_a_box_with_its_files():
    inside = sandbox.runner("bwrap", LIMITS)
    finished = inside(["json.tool", "in.json"], {"in.json": b'{"a":1}'})
    assert json.loads(finished.stdout) == {"a": 1}


# --- What boxes read, where anyone may reach it ----------------------------------------------------------------------

STAGES = """
import json, os, sys
from pathlib import Path
from coursekit import sandbox
from coursekit.records import Limits
from coursekit.sandbox import bwrap
from coursekit.sandbox.program import run

bwrap.stage()
with sandbox.closing(sandbox.open_box("bwrap", Limits())) as box:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{box._process.pid}/status").read_text().splitlines())
    program = Path(f"/proc/{box._process.pid}/cmdline").read_bytes().split(b"\\0")[0].decode()
    told = run(box, [sys.executable, "-c", "import json, os; print(json.dumps(os.listdir('/')))"], {}, seconds=20)
said = {"staged": box.staged, "program": program, "uid": status["Uid"].split(), "groups": status["Groups"].split()}
print(json.dumps({**said, "inside": told.stdout.decode(), "returncode": told.returncode}))
"""


def test_a_process_that_staged_once_starts_each_box_directly_and_if_it_is_root_s_as_nobody_in_particular():
    """Whoever is not root has nothing to stage."""
    before = Path("/proc/self/mountinfo").read_text()
    told = json.loads(subprocess.check_output([sys.executable, "-c", STAGES], text=True))
    assert told["staged"] == (os.geteuid() == 0)
    assert told["program"].endswith("bwrap")
    (uid,) = {int(each) for each in told["uid"]}
    assert uid >= 2_000_000_000 if os.geteuid() == 0 else uid == os.geteuid()
    assert [int(group) for group in told["groups"]] == ([] if os.geteuid() == 0 else sorted(os.getgroups()))
    assert told["returncode"] == 0
    assert {"usr", "run", "home", "tmp"} <= set(json.loads(told["inside"]))
    assert Path("/proc/self/mountinfo").read_text() == before


def test_a_root_who_may_not_mount_stages_nothing_and_each_box_says_so():
    refused = [*struck.within("--unshare-user", "--uid", "0", "--gid", "0", "--cap-drop", "ALL")]
    done = subprocess.run([*refused, sys.executable, "-c", STAGES], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SandboxError: no box can be made here" in done.stderr
