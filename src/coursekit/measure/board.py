"""The engine `board`: what a model takes on a board that is there, timed over ssh.

After the rules of MLPerf Tiny (v1.2, performance mode): windows of at least `timing.seconds`, each with an input of its
own and a warm-up before it, and the median of the windows. They ask for five windows of 10 s. Windows that differ by
more than `timing.spread` are no measurement: on MLPerf's boards the five differ by 0.2 % in nine runs of ten, so more
than 1 % on a microcontroller, or 5 % under Linux, means that something else ran.

What happens to a connection is the machine's fault and never the model's: what may pass is tried again, and what does
not pass is a `DeviceError`, which leaves a check broken and without a score. A model must first run in a box of the
grader; then it is sent to the board and opened there by `onboard.py`, which says what that guards against. The board's
answer is decoded strictly, and is a claim all the same: code hidden in a model could make it up.
"""

from __future__ import annotations

import json
import shlex
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import resources
from math import ceil

import msgspec

from coursekit.errors import DeviceError, ToolError, UnreadableWork
from coursekit.figures import figure
from coursekit.measure import ssh
from coursekit.measure.asking import CRASHES, UNKNOWN, ask, clean, decode
from coursekit.measure.documents import CannotRun, Crashed, NoRuntime, Runs, Timed, TooSlow, Window
from coursekit.profiles import Profile
from coursekit.profiles.facts import Timing, address
from coursekit.records import Measurement, RunInside

_BOX = "LiteRT"
_PAUSES = (2.0, 10.0)
"""Seconds before the second and the third try."""

_ROUNDS = 2
"""Windows that differ too much are measured again, once."""

_WAIT_SECONDS = 600
"""How long others may have the board before us."""

_START_SECONDS = 150
_MOST_BYTES = 1_000_000

# The script comes first on standard input, its length before it; modules are looked for where Python has them only.
_BOOT = (
    "import sys; sys.path = [each for each in sys.path if each]; sent = sys.stdin.buffer; "
    "exec(compile(sent.read(int(sent.readline())), 'onboard.py', 'exec'))"
)


class Board:
    """Gives `latency_ms`: milliseconds per inference, the median of the windows, with the status `measured`.

    The band holds every window: it is the largest distance of one from the median. Feeding the input is not timed. A
    profile without `device` has none. It is `unknown`, with a note, if the board refuses the model or is too slow for
    it. Raises `UnreadableWork` if the model crashes its reader in the box, `ToolError` if the board lacks the runtime,
    and `DeviceError` if the board cannot be reached or is too noisy. A profile of a board looks like this, in
    `autograder/profiles/lab-pi4.yaml`; `ssh grader@pi4.lab.example.edu` must log in there without a password, and to a
    host key that is known:

        name: lab-pi4
        title: The Raspberry Pi 4 in the lab, 1.8 GHz, LiteRT with four threads
        board: Raspberry Pi 4 Model B Rev 1.4, 4 GB, with a fan
        core: Cortex-A72
        clock_hz: 1_800_000_000
        runtime: LiteRT with XNNPACK
        runtime_version: ai-edge-litert 2.3.0   # as pip lists it on the board; another one there is refused
        memory: LPDDR4
        dtypes: [int8, float32]
        engines: {latency_ms: board}
        status: measured
        device: ssh://grader@pi4.lab.example.edu:22   # an account without rights that holds nothing
        timing:
          seconds: 10      # a window lasts at least so long
          repeats: 5       # windows
          spread: 0.05     # windows that differ by more are measured once more, then refused
          threads: 4
          python: litert/bin/python3   # made there by: python3 -m venv litert && litert/bin/pip install ai-edge-litert
        sources:
          board: /proc/device-tree/model on the board, 2026-11-24
          core: lscpu on the board, 2026-11-24
          clock_hz: lscpu on the board, with the governor set to performance, 2026-11-24
          runtime: this course's choice, 2026-11-24
          runtime_version: pip list on the board, 2026-11-24
          memory: the label of the board, 2026-11-24
          dtypes: the kernels of the runtime, 2026-11-24
          engines: models are timed on the board itself, 2026-11-24
          status: measured for each model, 2026-11-24
          device: this course's laboratory, 2026-11-24
          timing: the rules of MLPerf Tiny v1.2; the limit on the spread is this course's, 2026-11-24
    """

    name = "board"
    metrics = ("latency_ms",)

    def __init__(self, *, program: Sequence[str] = ("ssh",), pause: Callable[[float], None] = time.sleep) -> None:
        self._program, self._pause = program, pause

    def measure(self, model: bytes, profile: Profile | None, inside: RunInside) -> tuple[Measurement, ...]:
        """Time the model on the profile's board."""
        if profile is None or not profile.device or profile.timing is None:
            return ()
        runs: Runs | CannotRun = decode(ask(inside, "litert", _BOX, model, "describe"), Runs | CannotRun, _BOX)
        if isinstance(runs, CannotRun):
            return (_refused(clean(runs.reason, 400), profile),)
        try:
            return (self._measured(model, profile, profile.timing),)
        except UnreadableWork as error:
            return (_refused(error.what, profile),)

    def _measured(self, model: bytes, profile: Profile, timing: Timing) -> Measurement:
        """Give the figure of windows that differ by no more than they may, from the first or the second round."""
        for _ in range(_ROUNDS):
            timed = self._asked(model, profile, timing)
            times = [per_inference(window) for window in timed.windows]
            if spread(times) <= timing.spread:
                return _figure(timed, times, profile, timing)
        raise DeviceError(
            f"the board {address(profile.device)} is too noisy: its windows differ by {_percent(spread(times))}, and "
            f"{_percent(timing.spread)} is allowed.",
            fix="stop what else runs there, cool it, set its governor to performance, and try again.",
        )

    def _asked(self, model: bytes, profile: Profile, timing: Timing) -> Timed:
        """Ask the board for its windows, again after a fault that may pass."""
        for seconds in _PAUSES:
            try:
                return _ask(self._program, model, profile, timing)
            except ssh.Interrupted:
                self._pause(seconds)
        try:
            return _ask(self._program, model, profile, timing)
        except ssh.Interrupted as error:
            raise DeviceError(f"{error.what} It was tried {len(_PAUSES) + 1} times.", fix=error.fix) from error


# --- Asking ----------------------------------------------------------------------------------------------------------


def _ask(program: Sequence[str], model: bytes, profile: Profile, timing: Timing) -> Timed:
    """Send the script, the job and the model, and give the board's windows or raise what its answer means."""
    to = address(profile.device)
    limit = 60 + ceil(3 * timing.repeats * timing.seconds)
    stdout, stderr, status = ssh.run(
        program,
        to,
        f"exec {shlex.quote(timing.python)} -B -c {shlex.quote(_BOOT)}",
        _sent(model, profile, timing, limit),
        begin=_WAIT_SECONDS,
        end=_START_SECONDS + 2 * limit,
        most=_MOST_BYTES,
    )
    if status in {126, 127} and not stdout:
        fix = "install it there, or name another in timing.python of the profile."
        raise ToolError(f"the board {to} has no program {timing.python}.", fix=fix)
    if status != 0:
        lines = stderr.decode("utf-8", "replace").strip().splitlines() or ["it printed nothing"]
        raise DeviceError(f"timing on the board {to} ended with status {status}: {clean(lines[-1])}")
    return _timed(stdout, profile, timing)


def _sent(model: bytes, profile: Profile, timing: Timing, limit: int) -> bytes:
    script = resources.files(__package__).joinpath("onboard.py").read_bytes()
    job = {
        "runtime": profile.runtime_version,
        "repeats": timing.repeats,
        "seconds": timing.seconds,
        "threads": timing.threads,
        "limit": limit,
        "model_bytes": len(model),
    }
    return b"".join((b"%d\n" % len(script), script, json.dumps(job).encode(), b"\n", model))


def _timed(printed: bytes, profile: Profile, timing: Timing) -> Timed:
    """Decode what the board printed; raise every answer but windows as the error it is."""
    to = address(profile.device)
    try:
        answer = msgspec.json.decode(printed, type=Timed | CannotRun | NoRuntime | Crashed | TooSlow)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"the board {to} gave no answer that can be read: {clean(str(error))}"
        raise DeviceError(what, fix=ssh.NOISE) from error
    if isinstance(answer, CannotRun):
        raise UnreadableWork(f"LiteRT on {profile.name} cannot run your model: {clean(answer.reason).rstrip('.')}.")
    if isinstance(answer, TooSlow):
        raise UnreadableWork(f"Your model is too slow for {profile.name}: it was stopped after {answer.seconds} s.")
    if isinstance(answer, NoRuntime):
        package, _, version = profile.runtime_version.partition(" ")
        has = f"; it has {clean(', '.join(answer.found))}" if answer.found else ""
        fix = f"run this there: {timing.python} -m pip install {package}=={version}"
        raise ToolError(f"the board {to} does not have {package} {version}{has}.", fix=fix)
    if isinstance(answer, Crashed):
        if answer.signal in CRASHES:
            raise UnreadableWork(f"Your model makes LiteRT on {profile.name} crash ({CRASHES[answer.signal]}).")
        raise DeviceError(
            f"timing on the board {to} was ended by signal {answer.signal}.", fix="see what its log says."
        )
    if len(answer.windows) != timing.repeats or any(not _whole(window, timing) for window in answer.windows):
        raise DeviceError(f"the board {to} gave other windows than it was asked for.")
    return answer


def _whole(window: Window, timing: Timing) -> bool:
    return window.nanoseconds >= int(timing.seconds * 1e9)


# --- Windows to a figure ---------------------------------------------------------------------------------------------


def per_inference(window: Window) -> float:
    """Give the nanoseconds of one inference in this window."""
    return window.nanoseconds / window.inferences


def spread(times: Sequence[float]) -> float:
    """Give how far the slowest window is from the fastest, as a share of their median."""
    return (max(times) - min(times)) / statistics.median(times)


def band(times: Sequence[float]) -> float:
    """Give how far the farthest window is from the median, as a share of it."""
    median = statistics.median(times)
    return max(abs(each - median) for each in times) / median


def _figure(timed: Timed, times: Sequence[float], profile: Profile, timing: Timing) -> Measurement:
    threads = "1 thread" if timing.threads == 1 else f"{timing.threads} threads"
    governor = f", governor {clean(timed.governor, 40)}" if timed.governor else ""
    note = (
        f"Median of {len(times)} windows of {timing.seconds:g} s, each with another input; they differ by "
        f"{_percent(spread(times))}. {clean(timed.machine)}, {profile.runtime_version}, {threads}{governor}."
    )
    return Measurement(
        metric="latency_ms",
        value=round(statistics.median(times) / 1e6, 6),
        unit="ms",
        engine=Board.name,
        profile=profile.name,
        band=round(band(times), 6),
        status="measured",
        note=note,
    )


def _refused(why: str, profile: Profile) -> Measurement:
    return Measurement(
        metric="latency_ms",
        value=UNKNOWN,
        unit="ms",
        engine=Board.name,
        profile=profile.name,
        status="measured",
        note=why,
    )


def _percent(share: float) -> str:
    return f"{figure(100 * share)} %"
