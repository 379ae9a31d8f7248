"""Tests whose inputs are made up: every input that ever broke something first, then new ones.

An input that breaks a test is kept, as small as hypothesis can make it, as a file below `seeds/`; commit it with what
mends it. In `make test` the same inputs are drawn every time. `make fuzz` draws at random until its time is over.
"""

from __future__ import annotations

import hashlib
import inspect
import signal
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import HypothesisWarning

SEEDS = Path(__file__).with_name("seeds")
SECONDS: dict[str, float] = {}
"""Name of a test -> how long it draws at random; empty where each draws its few inputs."""
TRIED: dict[str, tuple[int, int]] = {}
"""Name of a test -> how many inputs it tried at random, and how many of them were kept."""

MOST_SECONDS = 10
_QUIET = list(HealthCheck)


class Hung(AssertionError):
    """An input that took too long."""


@contextmanager
def soon(seconds=MOST_SECONDS):
    """Whatever happens in this block, it is over before so many seconds."""

    def stop(*_):
        raise Hung(f"it took more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def seeds(what):
    """The inputs of this kind that broke something once."""
    return sorted((SEEDS / what).glob("*"))


def fuzzed(what, strategy, *, examples=60, weight=1.0, write=bytes, read=bytes, slow=False):
    """Make a test of a function of one input, and of fixtures; `write` and `read` turn an input to a file and back.

    A slow one takes seconds, and its inputs are not made smaller. An error whose `culprit` is set is about that alone.
    """

    def decorate(check):
        worst = {}

        def once(example, fixtures):
            TRIED[name] = (TRIED[name][0] + 1, 0)
            try:
                with soon(60 * MOST_SECONDS if slow else MOST_SECONDS):
                    check(example, **fixtures)
            except Exception as error:
                worst[_place(error)] = getattr(error, "culprit", example)
                raise

        def test(**fixtures):
            warnings.simplefilter("ignore", HypothesisWarning)  # of what it draws from, which is large
            TRIED[name] = (0, 0)
            for file in seeds(what):
                try:
                    with soon(60 * MOST_SECONDS if slow else MOST_SECONDS):
                        check(read(file.read_bytes()), **fixtures)
                except Exception as error:
                    error.add_note(f"the seed is {file}")
                    raise
            until = time.monotonic() + SECONDS.get(name, 0)
            while True:
                drawn = given(strategy)(lambda example: once(example, fixtures))
                try:
                    _set(drawn, examples, slow)()
                except Exception:
                    _keep(what, [write(example) for example in worst.values()])
                    TRIED[name] = (TRIED[name][0], len(worst))
                    raise
                if time.monotonic() >= until:
                    break

        name = test.__name__ = check.__name__
        test.__doc__, test.__module__ = check.__doc__, check.__module__
        test.fuzzed = weight
        _, *others = inspect.signature(check).parameters.values()
        test.__signature__ = inspect.Signature(others)
        return test

    return decorate


def _set(drawn, examples, slow):
    """The test as `make test` runs it, or as `make fuzz` does, a round at a time."""
    phases = (Phase.generate,) if slow else (Phase.generate, Phase.target, Phase.shrink)
    common = {"deadline": None, "database": None, "print_blob": True, "suppress_health_check": _QUIET, "phases": phases}
    if SECONDS:
        return settings(max_examples=examples if slow else 2 * examples, derandomize=False, **common)(drawn)
    return settings(max_examples=examples, derandomize=True, **common)(drawn)


def _place(error):
    """Where and what was raised: of the inputs that break us in one way the smallest is kept."""
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    return type(error).__name__, last.tb_frame.f_code.co_filename, last.tb_lineno


def _keep(what, examples):
    (SEEDS / what).mkdir(parents=True, exist_ok=True)
    for data in examples:
        (SEEDS / what / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
