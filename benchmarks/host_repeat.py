"""Time two models against each other again and again: how far the ratios lie apart, and how often an interval misses.

Compares a model with a reference on the profile `host`, first with the machine as it is and then beside busy processes,
and prints every ratio with its interval, and their spread: the largest ratio by the smallest, less one. Without files
the models are one convolution over 2,304 and over 9,216 pixels. Run it by hand: it takes minutes, and what it prints is
about the machine that it runs on. Models of your own: `python benchmarks/host_repeat.py A.tflite B.tflite`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from coursekit import measure, measuring, profiles, sandbox
from coursekit.errors import TimingError
from coursekit.records import Limits, Measurement

ROOT = Path(__file__).parents[1]
BUSY = "while True: sum(number * number for number in range(100_000))"


def main() -> None:
    """Print the ratios of both rounds."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("models", nargs="*", type=Path, metavar="FILE", help="a model and its reference")
    options.add_argument("--times", type=int, default=10)
    options.add_argument("--busy", type=int, default=1, help="processes that compute beside the second round")
    asked = options.parse_args()
    if len(asked.models) not in {0, 2}:
        options.error("name two models or none")
    model, reference = map(measuring.read, asked.models) if asked.models else built()
    for count in (0, asked.busy):
        with busy(count):
            again(model, reference, asked.times, count)


def built() -> tuple[bytes, bytes]:
    """Give two models that nobody had to train."""
    sys.path.insert(0, str(ROOT / "tests"))
    import models  # noqa: PLC0415 - it is found only now

    return models.convolution(48, 8), models.convolution(96, 8)


def again(model: bytes, reference: bytes, times: int, count: int) -> None:
    """Compare so many times, and print what came out."""
    board = profiles.load("host")
    inside = sandbox.runner("bwrap", Limits(memory_bytes=2_000_000_000))
    found: list[Measurement] = []
    print(f"Beside {count} busy processes, with {os.cpu_count()} processors:", flush=True)
    for number in range(1, times + 1):
        began, load = time.monotonic(), os.getloadavg()[0]
        try:
            each = measure.compare(model, reference, board, inside)
        except TimingError as error:
            said = f"not timed: {error}"
        else:
            assert each is not None
            assert each.interval is not None
            found.append(each)
            said = f"{each.value:.4f} ({each.interval[0]:.4f} to {each.interval[1]:.4f}); {each.note.split(',')[0]}"
        print(f"{number:3} of {times}: {said}, {time.monotonic() - began:.0f} s, load {load:.1f}", flush=True)
    print(told(found, times) + "\n", flush=True)


def told(found: list[Measurement], times: int) -> str:
    """Say how far the ratios lie apart."""
    if not found:
        return f"None of {times} comparisons could be timed."
    ratios = [float(each.value) for each in found]
    middle, spread = statistics.median(ratios), max(ratios) / min(ratios) - 1
    held = sum(each.interval[0] <= middle <= each.interval[1] for each in found if each.interval)
    return (
        f"{len(found)} of {times} timed; median ratio {middle:.4f}, from {min(ratios):.4f} to {max(ratios):.4f}:"
        f" spread {100 * spread:.2f} %; {held} of {len(found)} intervals hold the median."
    )


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many processes computing meanwhile."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
