"""Times `model.tflite` against `reference.tflite` and prints one pair of runs, a `documents.Pair`.

Arguments: the number of the pair, which its inputs are drawn from, and how many nanoseconds a sample takes at least.

A pair has a process to itself, because where memory happens to lie is drawn once for each process and moves a small
model's time by several percent: pairs of one process would all share that, and be sure of a wrong figure. The process
keeps to one processor, and its clock is that of the whole process, so that work in another thread counts as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from coursekit.errors import UnreadableWork
from coursekit.measure.documents import REFERENCE_FILE, Pair
from coursekit.measure.inside.answer import answer
from coursekit.measure.inside.graph import read
from coursekit.measure.inside.running import FAILURES, deployed, refuse_custom, said

_WARM_UPS = 5
_TRIED = 8
"""How many times shorter than a sample the trial is that says how many inferences one holds."""

_NUMBERS = (np.int8, np.uint8, np.int16)
"""Integers that stand for real numbers; of others a model may want only some, as where they number rows of a table."""


def main() -> None:
    """Answer for the models in the working folder."""
    answer(pair)


def pair(model: bytes) -> Pair:
    """Time one pair, and the reference against a copy of itself before."""
    number, least = int(sys.argv[1]), int(sys.argv[2])
    load = os.getloadavg()[0]
    _keep_to_one_processor()
    reference = Path(REFERENCE_FILE).read_bytes()
    with _explained():
        asked = _ready(model, number)
    with _explained("About the model to compare with: "):
        stated, copy = _ready(reference, number), _ready(reference, number)
    with _explained():
        model_loops, reference_loops = _loops(asked, least), _loops(stated, least)
        same = _abba(copy, stated, reference_loops, reference_loops)
        models = _abba(asked, stated, model_loops, reference_loops)
    return Pair(
        model_loops=model_loops,
        reference_loops=reference_loops,
        models=models,
        same=same,
        cpu=_cpu()[:200],
        load_percent=round(100 * load),
    )


def _keep_to_one_processor() -> None:
    """Stay on the processor where the system has put this process, which is where it found the most room."""
    allowed = os.sched_getaffinity(0)
    here = ctypes.CDLL(None).sched_getcpu()
    os.sched_setaffinity(0, {here if here in allowed else min(allowed)})


@contextlib.contextmanager
def _explained(about: str = "") -> Iterator[None]:
    """Turn what LiteRT raises about a model into a sentence, and say which model it is about."""
    try:
        yield
    except UnreadableWork as error:
        raise UnreadableWork(f"{about}{error.what}", fix=error.fix) from error
    except FAILURES as error:
        raise UnreadableWork(f"{about}LiteRT cannot run your model: {said(error)}.") from error


def _ready(model: bytes, number: int) -> Any:
    """Give a model with the inputs of this pair, warmed up."""
    refuse_custom(read(model))
    running = deployed(model)
    running.allocate_tensors()
    for place, entry in enumerate(running.get_input_details()):
        running.set_tensor(entry["index"], _values(number, place, entry))
    for _ in range(_WARM_UPS):
        running.invoke()
    return running


def _values(number: int, place: int, entry: Any) -> Any:
    """Draw one input, the same for both models where shapes agree: from -1 to 1, or over all that an integer can be."""
    drawn = np.random.default_rng([number, place]).random(entry["shape"])
    dtype = np.dtype(entry["dtype"])
    if dtype.kind == "f":
        return (2 * drawn - 1).astype(dtype)
    if dtype.type in _NUMBERS:
        limits = np.iinfo(dtype)
        return np.floor(drawn * (int(limits.max) - int(limits.min) + 1) + int(limits.min)).astype(dtype)
    return np.zeros(entry["shape"], dtype)


def _loops(running: Any, least: int) -> int:
    """Give how many inferences take at least so many nanoseconds, or nearly."""
    tried = 1
    while (taken := max(1, _sample(running, tried))) * _TRIED < least:
        tried *= 2
    return -(-tried * least // taken)


def _abba(a: Any, b: Any, a_loops: int, b_loops: int) -> tuple[int, int, int, int]:
    """Give the samples of A, B, B, A."""
    return _sample(a, a_loops), _sample(b, b_loops), _sample(b, b_loops), _sample(a, a_loops)


def _sample(running: Any, loops: int) -> int:
    """Give the CPU time of so many inferences in nanoseconds, in whichever threads they ran."""
    began = time.process_time_ns()
    for _ in range(loops):
        running.invoke()
    return time.process_time_ns() - began


def _cpu() -> str:
    """Give the name of the processor, or its kind where the system has no name for it."""
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        field, _, name = line.partition(":")
        if field.strip() == "model name":
            return name.strip()
    return platform.machine()


if __name__ == "__main__":
    main()
