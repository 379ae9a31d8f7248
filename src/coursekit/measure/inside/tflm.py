"""Runs `model.tflite` with TensorFlow Lite Micro and prints a `documents.Arena`, or why it cannot be run."""

from __future__ import annotations

import os
import re
import struct
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.measure.documents import Arena, CannotRun, Missing
from coursekit.measure.inside.answer import answer
from coursekit.measure.inside.graph import Graph, read
from coursekit.measure.inside.parity import parity
from coursekit.measure.inside.running import all_shapes, misstated

ARENA_BYTES = 64 * 2**20
"""More than any board here has: the allocator says how much of it was used."""


def main() -> None:
    """Answer for the model in the working folder."""
    answer(arena)


def arena(model: bytes) -> Arena | CannotRun | Missing:
    """Run the model once on zeros and give what TensorFlow Lite Micro's allocator reports."""
    graph = read(model)
    try:
        from tflite_micro.python.tflite_micro import runtime  # noqa: PLC0415 - an extra; missing is an answer
    except ImportError:
        return Missing(package="tflite-micro", extra="tflm")
    unconfirmed = _unconfirmed(model, graph)
    if unconfirmed and not graph.custom_operators:
        return CannotRun(reason=unconfirmed)
    said: list[str] = []
    try:
        interpreter = _listening(lambda: runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES), said)
        if unconfirmed:  # it has the custom operators, which LiteRT has not
            return CannotRun(reason=unconfirmed)
        _listening(lambda: _run(interpreter, len(graph.main.inputs)), said)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, struct.error, MemoryError) as error:
        return CannotRun(reason=_reason(said, error, graph))
    report: list[str] = []
    _listening(interpreter.print_allocations, report)
    sizes = dict(re.findall(r"Arena allocation (total|head|tail) (\d+) bytes", "".join(report)))
    steps, note = _listening(lambda: parity(model, graph, interpreter), [])
    return Arena(
        total=int(sizes["total"]), head=int(sizes["head"]), tail=int(sizes["tail"]), parity=steps, parity_note=note
    )


def _run(interpreter: Any, inputs: int) -> None:
    for number in range(inputs):
        entry = interpreter.get_input_details(number)
        interpreter.set_input(np.zeros(entry["shape"], entry["dtype"]), number)
    interpreter.invoke()


def _unconfirmed(model: bytes, graph: Graph) -> str:
    """Say where the file states another shape than running it gives, or why that cannot be known; empty if nowhere.

    TensorFlow Lite Micro takes the stated shapes as they are. A file that understates them would look small, and one
    whose shapes make no sense would have it read what lies beside its tensors, with another end each time.
    """
    shapes = all_shapes(model, graph)
    return shapes if isinstance(shapes, str) else misstated(graph, shapes)


def _listening(work: Callable[[], Any], said: list[str]) -> Any:
    """Do the work and keep what it prints on descriptor 2, where the native library says what it would not raise."""
    with tempfile.TemporaryFile() as heard:
        kept = os.dup(2)
        os.dup2(heard.fileno(), 2)
        try:
            return work()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            heard.seek(0)
            said.append(heard.read(100_000).decode("utf-8", "replace"))


def _reason(said: list[str], error: Exception, graph: Graph) -> str:
    """Say in a few words why it does not run: the missing operator if that is why, or the library's first line."""
    text = "\n".join(said)
    if found := re.search(r"Didn't find op for builtin opcode '(\w+)'", text):
        return f"it has no {found[1]}"
    if graph.custom_operators:
        return f"it has no {', '.join(graph.custom_operators[:10])}"
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [str(error)]
    return re.sub(r"^\S+\.(?:cc|h)[: ]\d*:? ?", "", lines[0])[:200].rstrip(".")  # not the line of its source


if __name__ == "__main__":
    main()
