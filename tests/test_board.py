"""The engine `board`: a real sshd on loopback, and everything that a connection and a board can do wrong."""

from __future__ import annotations

import ast
import getpass
import inspect
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import pytest

import courses
import models
from coursekit import measure, profiles
from coursekit.errors import DeviceError, SpecError, ToolError, UnreadableWork
from coursekit.measure import _asked_for, board, onboard, ssh
from coursekit.measure.board import Board
from coursekit.measure.documents import Runs, Timed, Window
from coursekit.profiles.facts import Address, Timing, address
from coursekit.records import Finished, Measurement

SAMPLE = textwrap.dedent("        name: lab-pi4" + inspect.getsource(Board).split("name: lab-pi4")[1].split('"""')[0])
HERE = f"ai-edge-litert {version('ai-edge-litert')}"
ANY_SPREAD = 1e9  # no test depends on how busy this machine is


def accepted(arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
    """A box in which LiteRT runs every model."""
    found = Runs(inputs=((1, 4),), outputs=((1, 3),))
    return Finished(returncode=0, stdout=msgspec.json.encode(found), stderr=b"")


def inside(arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
    """Run a module in a fresh folder, as a box does."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-I", "-m", *arguments], cwd=folder, capture_output=True, timeout=60, check=False
        )
    return Finished(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


def lab(folder: Path, device: str, **replaced: str) -> profiles.Profile:
    """Give the documented profile with this board, this machine's Python and short windows."""
    changes = {
        "ssh://grader@pi4.lab.example.edu:22": device,
        "ai-edge-litert 2.3.0": HERE,
        "litert/bin/python3": sys.executable,
        "threads: 4": "threads: 1",
        "seconds: 10 ": "seconds: 0.05 ",
        **replaced,
    }
    text = SAMPLE
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    folder.mkdir(exist_ok=True)
    (folder / "lab-pi4.yaml").write_text(text)
    return profiles.load("lab-pi4", [folder])


def patient(profile: profiles.Profile) -> profiles.Profile:
    """Give a profile that takes windows of any spread."""
    return msgspec.structs.replace(profile, timing=msgspec.structs.replace(profile.timing, spread=ANY_SPREAD))


# --- Profiles --------------------------------------------------------------------------------------------------------


def test_the_documented_profile_is_a_profile(tmp_path: Path):
    (tmp_path / "lab-pi4.yaml").write_text(SAMPLE)
    found = profiles.load("lab-pi4", [tmp_path])
    assert address(found.device) == Address(host="pi4.lab.example.edu", user="grader", port=22)
    assert found.timing == Timing(seconds=10, repeats=5, spread=0.05, threads=4, python="litert/bin/python3")


@pytest.mark.parametrize(
    ("device", "found"),
    [
        ("ssh://pi@pi4.local:2222", Address(host="pi4.local", user="pi", port=2222)),
        ("ssh://pi4", Address(host="pi4")),
        ("ssh://pi@[fe80::1]:22", Address(host="fe80::1", user="pi", port=22)),
    ],
)
def test_an_address_is_user_host_and_port(device: str, found: Address):
    assert address(device) == found


@pytest.mark.parametrize(
    "device",
    [
        "ssh://-oProxyCommand=id",
        "ssh://-l@host",
        "ssh://pi@-oProxyCommand=id:22",
        "ssh://pi@host name",
        "ssh://pi@host:22 -v",
        "ssh://pi@host\n",
        "ssh://pi@host:0",
        "ssh://pi@host:70000",
        "ssh://pi:word@host",
        "ssh://pi@host/etc",
        "ssh://pi@%h",
        "ssh://",
        "ssh://höst",
        "http://pi@host",
        "pi@host",
    ],
)
def test_what_ssh_could_take_for_an_option_is_no_address(device: str, tmp_path: Path):
    with pytest.raises(SpecError, match="device is no address"):
        address(device)
    with pytest.raises(SpecError, match=r"lab-pi4\.yaml: device is no address"):
        lab(tmp_path, json.dumps(device))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("{latency_ms: board}", "{latency_ms: cycles}", "device is stated, and no engine asks it."),
        (HERE, "2.3.0", "runtime_version does not name the package on the board."),
        (HERE, "ai-edge-litert 1; id", "runtime_version does not name the package on the board."),
        ("seconds: 0.05", "seconds: 0", "timing.seconds must be between 0.01 and 600."),
        ("repeats: 5", "repeats: 1", "timing.repeats must be between 3 and 100."),
        ("spread: 0.05", "spread: 5", "timing.spread must be between 0 and 1."),
        ("threads: 1", "threads: 0", "timing.threads must be between 1 and 256."),
        (f"python: {sys.executable}", "python: -c", "timing.python must be the plain path of a program."),
        (f"python: {sys.executable}", "python: python3 $(id)", "timing.python must be the plain path of a program."),
    ],
)
def test_a_board_that_cannot_be_asked_is_refused(tmp_path: Path, old: str, new: str, what: str):
    with pytest.raises(SpecError) as caught:
        lab(tmp_path, "ssh://pi4", **{old: new})
    assert caught.value.what == what


def test_an_engine_without_its_board_is_refused(tmp_path: Path):
    text = "\n".join(line for line in SAMPLE.splitlines() if "device:" not in line)
    (tmp_path / "lab-pi4.yaml").write_text(text)
    with pytest.raises(SpecError, match="the engine 'board' needs device and timing"):
        profiles.load("lab-pi4", [tmp_path])


def test_a_board_that_need_not_be_there_is_not_asked():
    nano = profiles.load("nano33-ble-sense")
    assert Board(program=("false",)).measure(models.dense(), nano, accepted) == ()
    assert Board(program=("false",)).measure(models.dense(), None, accepted) == ()


# --- Windows to a figure ---------------------------------------------------------------------------------------------


def windows(*milliseconds: float) -> bytes:
    """What a board prints that needed so long for each inference."""
    each = [
        Window(inferences=1000, nanoseconds=round(1e9 * time), input=number) for number, time in enumerate(milliseconds)
    ]
    found = Timed(machine="Raspberry\x1b[31m Pi 4", governor="performance", windows=tuple(each))
    return b"\n" + msgspec.json.encode(found)


class Answers:
    """A program in ssh's place that prints these answers, one for each time it is asked."""

    def __init__(self, folder: Path, *answers: bytes) -> None:
        self.asked = folder / "asked"
        for number, answer in enumerate(answers):
            (folder / f"answer-{number}").write_bytes(answer)
        self.program = ("sh", "-c", f'cd {folder}; n=$(wc -l < asked); echo >> asked; cat "answer-$((n))"')
        self.asked.touch()

    @property
    def times(self) -> int:
        return len(self.asked.read_text().splitlines())


def timed_by(answers: Answers, folder: Path, **replaced: str) -> Measurement:
    (found,) = Board(program=answers.program).measure(
        models.dense(), lab(folder / "profiles", "ssh://pi@pi4", **replaced), accepted
    )
    return found


def test_a_figure_is_the_median_of_the_windows_and_its_band_holds_them_all(tmp_path: Path):
    found = timed_by(Answers(tmp_path, windows(2.0, 2.02, 1.98, 2.04, 2.01)), tmp_path)
    assert found == Measurement(
        metric="latency_ms",
        value=2.01,
        unit="ms",
        engine="board",
        profile="lab-pi4",
        band=0.014925,
        status="measured",
        note=f"Median of 5 windows of 0.05 s, each with another input; they differ by 2.985 %. Raspberry [31m Pi 4, "
        f"{HERE}, 1 thread, governor performance.",
    )


def test_windows_that_differ_too_much_are_measured_once_more(tmp_path: Path):
    answers = Answers(tmp_path, windows(2, 2, 2, 2, 3), windows(4, 4, 4, 4, 4))
    assert timed_by(answers, tmp_path).value == 4
    assert answers.times == 2


def test_a_board_that_stays_noisy_is_a_fault_of_the_board(tmp_path: Path):
    answers = Answers(tmp_path, windows(2, 2, 2, 2, 3), windows(2, 2, 2, 2, 2.2))
    with pytest.raises(DeviceError) as caught:
        timed_by(answers, tmp_path)
    assert caught.value.what == "the board pi@pi4 is too noisy: its windows differ by 10 %, and 5 % is allowed."
    assert answers.times == 2


def test_the_spread_and_the_band_are_shares_of_the_median():
    assert board.spread([100, 90, 120]) == pytest.approx(0.3)
    assert board.band([100, 90, 120]) == pytest.approx(0.2)


# --- What a board may answer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ({"type": "crashed", "signal": 9}, DeviceError, "timing on the board pi@pi4 was ended by signal 9."),
        ({"type": "no runtime", "found": []}, ToolError, f"the board pi@pi4 does not have {HERE}."),
        ({"type": "no runtime", "found": ["tensorflow 2.1"]}, ToolError, f"not have {HERE}; it has tensorflow 2.1."),
        ({"type": "timed", "machine": "", "governor": "", "windows": []}, DeviceError, "other windows than it was"),
        ({"type": "arena", "total": 1, "head": 1, "tail": 0}, DeviceError, "gave no answer that can be read"),
    ],
)  # fmt: skip
def test_each_answer_says_whose_move_it_is(tmp_path: Path, answer: object, error: type[Exception], sentence: str):
    with pytest.raises(error) as caught:
        timed_by(Answers(tmp_path, json.dumps(answer).encode()), tmp_path)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"type": "cannot run", "reason": "no\nX."}, "LiteRT on lab-pi4 cannot run your model: no X."),
        ({"type": "too slow", "seconds": 9}, "Your model is too slow for lab-pi4: it was stopped after 9 s."),
        ({"type": "crashed", "signal": 11}, "Your model makes LiteRT on lab-pi4 crash (SIGSEGV)."),
    ],
)
def test_a_model_that_the_board_refuses_has_an_unknown_time_and_a_sentence(
    tmp_path: Path, answer: object, sentence: str
):
    found = timed_by(Answers(tmp_path, json.dumps(answer).encode()), tmp_path)
    assert (found.value, found.note) == ("unknown", sentence)
    with pytest.raises(UnreadableWork, match=r"lab-pi4"):
        _asked_for("latency_ms", {"latency_ms": found}, None)


@pytest.mark.parametrize(
    "printed",
    [
        b"",
        b"Welcome to the laboratory!\n" + windows(1, 1, 1, 1, 1),
        windows(1, 1, 1, 1, 1) * 2,
        b"[" * 100_000,
        b'{"type":"timed","machine":"","governor":"","windows":[{"inferences":0,"nanoseconds":1,"input":1}]}',
        b'{"type":"timed","machine":"","governor":"","windows":[{"inferences":1e3,"nanoseconds":NaN,"input":1}]}',
    ],
)
def test_garbage_is_no_answer_and_not_asked_for_again(tmp_path: Path, printed: bytes):
    answers = Answers(tmp_path, printed)
    with pytest.raises(DeviceError, match="gave no answer that can be read"):
        timed_by(answers, tmp_path)
    assert answers.times == 1


def test_windows_that_are_too_short_are_none(tmp_path: Path):
    with pytest.raises(DeviceError, match="other windows than it was asked for"):
        timed_by(Answers(tmp_path, windows(2, 2, 2, 2, 0.01)), tmp_path)


def test_more_than_a_board_may_print_is_cut_off(tmp_path: Path):
    with pytest.raises(DeviceError, match="printed more than 1,000,000 bytes"):
        timed_by(Answers(tmp_path, b" " * 3_000_000), tmp_path)


def test_a_lack_of_ssh_is_this_machine_s(tmp_path: Path):
    with pytest.raises(ToolError, match="the program no-such-ssh cannot be started") as caught:
        Board(program=("no-such-ssh",)).measure(models.dense(), lab(tmp_path, "ssh://pi4"), accepted)
    assert caught.value.fix.endswith("apt-get install openssh-client")


def test_a_lack_of_python_there_is_the_board_s(tmp_path: Path):
    with pytest.raises(ToolError, match=f"the board pi4 has no program {sys.executable}"):
        Board(program=("sh", "-c", "exit 127")).measure(models.dense(), lab(tmp_path, "ssh://pi4"), accepted)


def test_a_script_that_fails_there_is_quoted_on_one_line(tmp_path: Path):
    program = ("sh", "-c", "echo 'Traceback'; printf 'OSError: \\033[31m full\\n' >&2; exit 1")
    with pytest.raises(DeviceError, match=r"ended with status 1: OSError: \[31m full$"):
        Board(program=program).measure(models.dense(), lab(tmp_path, "ssh://pi4"), accepted)


# --- Time, and ssh's own words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "limits", "late"),
    [
        ("exec sleep 60", {"begin": 0.05, "end": 60}, "did not begin within 0.05 seconds"),
        ("echo; exec sleep 60", {"begin": 60, "end": 0.05}, "was not done within 0.05 seconds"),
        ("exec sleep 60 >&- 2>&-", {"begin": 0.05, "end": 60}, "did not begin within 0.05 seconds"),
        ("exec yes >&2", {"begin": 0.05, "end": 60}, "did not begin within 0.05 seconds"),
    ],
)
def test_a_program_that_does_not_end_is_killed(script: str, limits: dict[str, float], late: str):
    assert ssh.converse(["sh", "-c", script], b"sent", **limits, most=100).late == late


def test_input_stays_open_until_the_program_is_done():
    sent = os.urandom(300_000)
    heard = ssh.converse(["sh", "-c", f"head -c {len(sent)}"], sent, begin=60, end=60, most=len(sent))
    assert (heard.stdout == sent, heard.returncode, heard.late) == (True, 0, "")


@pytest.mark.parametrize(
    ("script", "passes"), [("echo; exec sleep 60", True), ("exec sleep 60", False)], ids=["in mid-run", "in the queue"]
)
def test_a_run_that_is_late_is_worth_another_try_and_a_queue_is_not(script: str, passes: bool):
    with pytest.raises(DeviceError, match=r"the board pi4 (was not done|did not begin) within 0\.05 seconds") as caught:
        ssh.run(("sh", "-c", script), Address(host="pi4"), "id", b"", begin=0.05 + 60 * passes, end=0.05, most=100)
    assert isinstance(caught.value, ssh.Interrupted) == passes


CHANGED = """\
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("log", "passes", "what"),
    [
        (CHANGED, False, "has another host key than the one that is known"),
        ("No ED25519 host key is known for pi4\nHost key verification failed.", False, "is not known here"),
        ("pi@pi4: Permission denied (publickey).", False, "does not let us in: pi@pi4: Permission denied (publickey)."),
        ("ssh: Could not resolve hostname pi4: Name or service not known", False, "no machine called pi4"),
        ("ssh: Could not resolve hostname pi4: Temporary failure in name resolution", True, "cannot be reached"),
        ("/home/x/.ssh/config: line 1: Bad configuration option: x", False, "cannot use its configuration"),
        ("ssh: connect to host pi4 port 22: Connection refused", True, "cannot be reached: ssh: connect to host"),
        ("ssh: connect to host pi4 port 22: No route to host", True, "cannot be reached"),
        ("client_loop: send disconnect: Broken pipe", True, "was lost: client_loop: send disconnect: Broken pipe."),
        ("", True, "it does not say why"),
    ],
)
def test_ssh_s_own_words_say_whether_it_may_pass(log: str, passes: bool, what: str):
    error = ssh.fault(log, Address(host="pi4", user="pi", port=2222))
    assert (isinstance(error, ssh.Interrupted), what in error.what) == (passes, True)
    assert error.fix


# --- On the board ----------------------------------------------------------------------------------------------------


def test_the_script_needs_nothing_but_python_3_9_and_numpy():
    tree = ast.parse(Path(onboard.__file__).read_text(), feature_version=(3, 9))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
    assert {name.partition(".")[0] for name in imported} - sys.stdlib_module_names == {"numpy"}


class Running:
    """An interpreter that only keeps what it is fed."""

    def __init__(self, *dtypes: str) -> None:
        self.dtypes, self.fed, self.calls = dtypes, [], 0

    def get_input_details(self) -> list[dict[str, object]]:
        return [{"index": number, "dtype": dtype, "shape": [1, 50]} for number, dtype in enumerate(self.dtypes)]

    def set_tensor(self, index: int, values: np.ndarray) -> None:
        self.fed.append(values)

    def invoke(self) -> None:
        self.calls += 1


def test_each_window_has_an_input_of_its_own_and_is_long_enough():
    running = Running("int8")
    found = list(onboard.timed(running, 5, 100_000))
    assert len({window["input"] for window in found}) == 5
    assert len({values.tobytes() for values in running.fed[1:]}) == 5
    assert min(window["nanoseconds"] for window in found) >= 100_000
    assert sum(window["inferences"] for window in found) < running.calls  # the warm-up is not counted


def test_inputs_are_the_same_every_time():
    one, other = Running("float32"), Running("float32")
    assert [onboard.feed(one, number) for number in (1, 2)] == [onboard.feed(other, number) for number in (1, 2)]


@pytest.mark.parametrize(
    ("dtype", "least", "most"),
    [
        ("float32", -1, 1),
        ("float16", -1, 1),
        ("int8", -128, 127),
        ("uint8", 0, 255),
        ("int16", -(2**15), 2**15 - 1),
        ("int32", 0, 1),
        ("int64", 0, 1),
        ("bool", 0, 1),
    ],
)
def test_inputs_have_the_model_s_type_and_stay_in_range(dtype: str, least: int, most: int):
    running = Running(dtype)
    onboard.feed(running, 1)
    (values,) = running.fed
    assert (values.dtype, values.shape) == (np.dtype(dtype), (1, 50))
    assert least <= values.min() < values.max() <= most


FAKE = """\
import fcntl, os, signal, sys, time

class Interpreter:
    def __init__(self, model_content, num_threads):
        self.does = model_content.decode()
    def allocate_tensors(self):
        pass
    def get_input_details(self):
        return [{"index": 0, "dtype": "int8", "shape": [1, 4]}]
    def set_tensor(self, index, values):
        pass
    def invoke(self):
        exec(self.does)
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a runtime of version 9.9 for which a model is what it does."""
    folder = tmp_path_factory.mktemp("runtime")
    (folder / "ai_edge_litert").mkdir()
    (folder / "ai_edge_litert" / "__init__.py").touch()
    (folder / "ai_edge_litert" / "interpreter.py").write_text(FAKE)
    (folder / "ai_edge_litert-9.9.dist-info").mkdir()
    (folder / "ai_edge_litert-9.9.dist-info" / "METADATA").write_text("Name: ai-edge-litert\nVersion: 9.9\n")
    return folder


def started(fake: Path, does: str, **changes: object) -> subprocess.Popen[bytes]:
    """Start the script with a job and a model that does this when it runs; its input stays open."""
    model = does.encode()
    job = {"runtime": "ai-edge-litert 9.9", "repeats": 3, "seconds": 0.001, "threads": 1, "limit": 60}
    process = subprocess.Popen(
        [sys.executable, "-B", onboard.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(fake)},
    )
    process.stdin.write(json.dumps({**job, "model_bytes": len(model), **changes}).encode() + b"\n" + model)
    process.stdin.flush()
    return process


def told(fake: Path, does: str, **changes: object) -> dict[str, object]:
    """Give what the script prints for a model that does this."""
    with started(fake, does, **changes) as process:
        document = process.stdout.read()
        assert process.wait() == 0, process.stderr.read()
    found: dict[str, object] = json.loads(document)
    return found


@pytest.mark.box
def test_the_board_prints_windows(fake: Path):
    found = told(fake, "pass")
    assert (found["type"], len(found["windows"])) == ("timed", 3)


@pytest.mark.box
@pytest.mark.parametrize(
    ("does", "document"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", {"type": "crashed", "signal": 11}),
        ("raise RuntimeError('no\\nkernel')", {"type": "cannot run", "reason": "no kernel"}),
        ("bytearray(2**50)", {"type": "cannot run", "reason": "MemoryError"}),
    ],
)
def test_a_model_that_breaks_its_runtime_is_told_of(fake: Path, does: str, document: dict[str, object]):
    assert told(fake, does) == document


@pytest.mark.box
def test_a_model_that_does_not_end_is_stopped(fake: Path):
    assert told(fake, "signal.pause()", limit=1) == {"type": "too slow", "seconds": 1}


@pytest.mark.box
def test_what_a_model_leaves_running_ends_with_it(fake: Path, tmp_path: Path):
    os.mkfifo(tmp_path / "alive")
    does = f"""
os.open({str(tmp_path / "alive")!r}, os.O_WRONLY)
os._exit(0) if os.fork() else signal.pause()
"""
    with started(fake, does) as process:
        with (tmp_path / "alive").open("rb") as alive:
            assert alive.read() == b""
        assert (process.stdout.read(), process.wait()) == (b"\n", 1)
        assert b"ended without an answer" in process.stderr.read()


@pytest.mark.box
def test_another_version_of_the_runtime_is_not_used(fake: Path):
    found = told(fake, "pass", runtime="ai-edge-litert 9.8")
    assert found["type"] == "no runtime"
    assert "ai-edge-litert 9.9" in found["found"]


@pytest.mark.box
def test_a_model_writes_no_file_and_gains_no_rights(fake: Path, tmp_path: Path):
    does = f"""
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
assert status["NoNewPrivs"] == "1"
try:
    with open({str(tmp_path / "made")!r}, "w") as file:
        file.write("anything")
except OSError as error:
    raise RuntimeError(error.strerror)
"""
    assert told(fake, does) == {"type": "cannot run", "reason": "File too large"}


@pytest.mark.box
def test_whoever_times_a_model_has_the_board(fake: Path):
    does = """
try:
    fcntl.flock(os.open("/dev", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    raise RuntimeError("it is taken")
"""
    assert told(fake, does) == {"type": "cannot run", "reason": "it is taken"}


@pytest.mark.box
def test_a_lost_connection_ends_what_runs_on_the_board(fake: Path, tmp_path: Path):
    os.mkfifo(tmp_path / "alive")
    with started(fake, f"os.open({str(tmp_path / 'alive')!r}, os.O_WRONLY); signal.pause()") as process:
        with (tmp_path / "alive").open("rb") as alive:  # opens when the model runs
            process.stdin.close()
            assert alive.read() == b""  # ends when nobody holds its other end: the model's process is gone
        assert process.wait() == 1
        assert b"the connection was lost" in process.stderr.read()


# --- A real sshd -----------------------------------------------------------------------------------------------------


COMMANDS = {
    "works": "",
    "drops": 'connection=$PPID; sh -c "$SSH_ORIGINAL_COMMAND" | {{ read begun; kill -9 $connection; }}',
    "recovers": 'test -e {folder}/again && exec sh -c "$SSH_ORIGINAL_COMMAND"; touch {folder}/again; kill -9 $PPID',
    "chats": "echo Welcome to the laboratory",
}
"""A client's key -> what its session runs instead of what it asks for."""


class Server:
    """OpenSSH's server on loopback, with its keys in a folder of its own; each client key has its own command."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program, self.folder, self.user = program, folder, getpass.getuser()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def make(self) -> None:
        for name in ("host", "other-host", "stranger", *COMMANDS):
            self._key(name)
        lines = []
        for name, command in COMMANDS.items():
            option = f'command="{command.format(folder=self.folder).replace(chr(34), chr(92) + chr(34))}" '
            lines.append((option if command else "") + (self.folder / f"{name}.pub").read_text())
        (self.folder / "authorized_keys").write_text("".join(lines))
        known = f"[127.0.0.1]:{self.port} "
        for name in ("host", "other-host"):
            (self.folder / f"known-{name}").write_text(known + (self.folder / f"{name}.pub").read_text())
        (self.folder / "known-nobody").touch()
        (self.folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nPermitRootLogin prohibit-password\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\n"
        )

    def _key(self, name: str) -> None:
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.folder / name)]
        subprocess.run(words, check=True, timeout=60)

    def start(self) -> None:
        words = [self.program, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        newer = ["-o", "PerSourcePenalties=no"]  # from 9.8 on it keeps away whoever fails; before, it has no such word
        knows = subprocess.run([*words, *newer, "-t"], capture_output=True, timeout=60, check=False).returncode == 0
        self.process = subprocess.Popen([*words, *(newer if knows else [])], stderr=subprocess.PIPE, text=True)
        said = ""
        for line in self.process.stderr:
            said += line
            if "Server listening" in line:
                return
        pytest.fail(f"sshd did not start: {said}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)

    @property
    def device(self) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}"

    def client(self, key: str, known: str = "known-host") -> tuple[str, ...]:
        """Give an ssh that has only this key and knows only these hosts."""
        config = self.folder / f"config-{key}-{known}"
        config.write_text(
            f"IdentityFile {self.folder}/{key}\nIdentitiesOnly yes\nIdentityAgent none\n"
            f"UserKnownHostsFile {self.folder}/{known}\nGlobalKnownHostsFile none\nPreferredAuthentications publickey\n"
        )
        return ("ssh", "-F", str(config))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    program = shutil.which("sshd", path=f"/usr/sbin:/sbin:{os.environ['PATH']}")
    if program is None:
        pytest.fail("There is no OpenSSH server here. Install the package: apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks up its unprivileged half
    with tempfile.TemporaryDirectory(prefix="sshd-", dir="/tmp") as folder:
        made = Server(program, Path(folder))
        made.make()
        made.start()
        try:
            yield made
        finally:
            made.stop()


class Pauses(list[float]):
    """Keeps how long it was to wait, and does not."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def asked(
    server: Server, folder: Path, key: str = "works", known: str = "known-host", *, model: bytes = b""
) -> tuple[Measurement, Pauses]:
    """Time a model on the server; give its figure and the pauses between the tries."""
    pauses = Pauses()
    engine = Board(program=server.client(key, known), pause=pauses)
    (found,) = engine.measure(model or models.dense(), patient(lab(folder, server.device)), accepted)
    return found, pauses


def refused(server: Server, folder: Path, key: str = "works", known: str = "known-host") -> tuple[DeviceError, Pauses]:
    """Give the error instead of a figure, and the pauses between the tries."""
    pauses = Pauses()
    engine = Board(program=server.client(key, known), pause=pauses)
    with pytest.raises(DeviceError) as caught:
        engine.measure(models.dense(), patient(lab(folder, server.device)), accepted)
    return caught.value, pauses


@pytest.mark.box
def test_a_model_is_timed_over_ssh(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As a course asks for it: the engine by its entry point, the model first in a process of its own, plain ssh."""
    (tmp_path / "ssh").write_text(
        f'#!/bin/sh\nPATH={os.environ["PATH"]} exec {" ".join(server.client("works"))} "$@"\n'
    )
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    profile = patient(lab(tmp_path / "profiles", server.device))
    (found,) = measure.measure(models.convolution(8, 4), profile, inside, ["latency_ms"])
    assert (found.metric, found.unit, found.engine, found.profile) == ("latency_ms", "ms", "board", "lab-pi4")
    assert found.status == "measured"
    assert found.value > 0
    assert found.note.startswith("Median of 5 windows of 0.05 s, each with another input; they differ by ")
    assert f"{HERE}, 1 thread" in found.note


@pytest.mark.box
def test_a_board_runs_five_windows_with_five_inputs(server: Server, tmp_path: Path):
    profile = lab(tmp_path, server.device)
    found = board._ask(server.client("works"), models.dense_float(), profile, profile.timing)
    assert len({window.input for window in found.windows}) == 5
    assert all(window.nanoseconds >= 50_000_000 for window in found.windows)


@pytest.mark.box
def test_what_the_board_s_runtime_refuses_is_the_student_s(server: Server, tmp_path: Path):
    found, pauses = asked(server, tmp_path, model=models.custom())
    assert found.note.startswith("LiteRT on lab-pi4 cannot run your model: Select TensorFlow")
    assert (found.value, pauses) == ("unknown", [])


@pytest.mark.box
def test_what_a_box_refuses_never_reaches_the_board(tmp_path: Path):
    (found,) = Board(program=("no-such-ssh",)).measure(models.custom(), lab(tmp_path, "ssh://pi4"), inside)
    assert found.note == "Your model uses operators that LiteRT does not have: FlexErf."


@pytest.mark.box
def test_a_refused_connection_is_tried_three_times(server: Server, tmp_path: Path):
    with socket.socket() as taken:  # bound and not listening: nobody else answers there
        taken.bind(("127.0.0.1", 0))
        pauses = Pauses()
        device = f"ssh://{server.user}@127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DeviceError) as caught:
            Board(program=server.client("works"), pause=pauses).measure(models.dense(), lab(tmp_path, device), accepted)
    assert "cannot be reached: ssh: connect to host 127.0.0.1" in caught.value.what
    assert caught.value.what.endswith("Connection refused. It was tried 3 times.")
    assert pauses == [2.0, 10.0]


@pytest.mark.box
def test_a_connection_lost_in_mid_run_is_tried_three_times(server: Server, tmp_path: Path):
    error, pauses = refused(server, tmp_path, "drops")
    assert error.what.startswith(f"the connection to the board {server.user}@127.0.0.1 was lost: ")
    assert error.what.endswith("It was tried 3 times.")
    assert len(pauses) == 2


@pytest.mark.box
def test_a_connection_that_is_lost_once_costs_nothing(server: Server, tmp_path: Path):
    found, pauses = asked(server, tmp_path, "recovers")
    assert (found.status, len(pauses)) == ("measured", 1)


@pytest.mark.box
@pytest.mark.parametrize(
    ("key", "known", "what"),
    [
        ("works", "known-other-host", "has another host key than the one that is known: it may be another machine."),
        ("works", "known-nobody", "the host key of the board"),
        ("stranger", "known-host", "does not let us in: "),
        ("chats", "known-host", "gave no answer that can be read"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(server: Server, tmp_path: Path, key: str, known: str, what: str):
    error, pauses = refused(server, tmp_path, key, known)
    assert what in error.what
    assert pauses == []


@pytest.mark.box
def test_a_fault_of_the_board_is_never_a_zero(server: Server, tmp_path: Path):
    """A whole submission graded with a target on a board whose host key the grader does not know."""
    target = "  - {id: speed, metric: latency_ms, profile: lab-pi4, at_most: {pass: 5, full: 1}, points: 4}\n"
    root = courses.make(
        tmp_path,
        "shrink",
        facts=courses.SHRINK_FACTS + target,
        cells=(courses.answer_cell("export", courses.writes(courses.MODEL)),),
        checks={"size": 4, "accuracy": 3, "speed": 4},
        hidden={"hidden.py": courses.SHRINK_DATA},
    )
    lab(root / "autograder" / "profiles", server.device)
    courses.released(root, "shrink")
    courses.submit(root, "ada", name="shrink")
    score = courses.grade(root, "ada", name="shrink")["ada"]
    assert [check.id for check in score.checks if check.outcome != "passed"] == ["speed"]
    assert courses.outcomes(score)["speed"] == "broken"
    assert (score.status, score.earned, courses.by_id(score)["speed"].earned) == ("unscored",) * 3
    assert "the host key of the board" in courses.by_id(score)["speed"].hint
