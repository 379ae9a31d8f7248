"""Runs `model.tflite` with LiteRT: `describe` prints a `documents.Runs`, `predict` the outputs for `x.npy` as .npy."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from coursekit.errors import UnreadableWork
from coursekit.measure.documents import INPUT_FILE, CannotRun, Runs
from coursekit.measure.inside.answer import answer
from coursekit.measure.inside.graph import read
from coursekit.measure.inside.running import FAILURES, interpreter, refuse_custom, run_on_zeros, said

_INTEGERS = (np.int8, np.uint8, np.int16)


def main() -> None:
    """Answer for the model in the working folder; the one argument says which question."""
    answer({"describe": describe, "predict": predict}[sys.argv[1]])


def describe(model: bytes) -> Runs | CannotRun:
    """Give the shapes of inputs and outputs, or why LiteRT does not run the model."""
    graph = read(model)
    try:
        refuse_custom(graph)
        running = interpreter(model)
        run_on_zeros(running)
        return Runs(inputs=_shapes(running.get_input_details()), outputs=_shapes(running.get_output_details()))
    except UnreadableWork as error:
        return CannotRun(reason=error.what)
    except FAILURES as error:
        return CannotRun(reason=f"LiteRT cannot run your model: {said(error)}.")


def predict(model: bytes) -> bytes:
    """Give the outputs for each input, float32, one row per input; integers are quantized and dequantized here."""
    refuse_custom(read(model))
    x = np.load(io.BytesIO(Path(INPUT_FILE).read_bytes()), allow_pickle=False)
    try:
        running = interpreter(model)
        _take(running, x.shape[1:])
        running.allocate_tensors()
    except FAILURES as error:
        raise UnreadableWork(f"LiteRT cannot run your model: {said(error)}.") from error
    try:
        rows = _rows(running, x)
    except FAILURES as error:  # its words may tell of the inputs, and those may be hidden
        raise UnreadableWork("LiteRT cannot run your model on an input that it was fed.") from error
    if any(row.shape != rows[0].shape for row in rows):
        raise UnreadableWork("Your model's output changes its shape from input to input.")
    out = io.BytesIO()
    np.save(out, np.stack(rows), allow_pickle=False)
    return out.getvalue()


def _rows(running: Any, x: Any) -> list[Any]:
    """Give the outputs for each input; raises what LiteRT raises if it cannot run the model on one."""
    source, sink = running.get_input_details()[0], running.get_output_details()[0]
    rows = []
    for sample in _quantize(x, source):  # one by one, as a device does: no figure depends on how many there are
        running.set_tensor(source["index"], sample[None])
        running.invoke()
        rows.append(_dequantize(running.get_tensor(sink["index"]), sink))
    return rows


def _take(running: Any, one: tuple[int, ...]) -> None:
    """Make the model take one input at a time; refuse one that wants something else than it will be fed."""
    inputs, outputs = running.get_input_details(), running.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1:
        raise UnreadableWork(
            f"Your model has {len(inputs)} inputs and {len(outputs)} outputs; it must have one of each."
        )
    shape = tuple(int(size) for size in inputs[0]["shape"])
    free = tuple(int(size) for size in inputs[0]["shape_signature"])
    fits = len(shape) == len(one) + 1 and all(
        size == fed or (free and free[number] < 0)
        for number, (size, fed) in enumerate(zip(shape[1:], one, strict=False), start=1)
    )
    if not fits:
        wants, fed = "x".join(map(str, shape[1:])) or "a single number", "x".join(map(str, one)) or "single numbers"
        raise UnreadableWork(f"Your model takes inputs of shape {wants}; it was fed {fed}.")
    if shape != (1, *one):
        running.resize_tensor_input(inputs[0]["index"], (1, *one))


def _quantize(x: Any, entry: Any) -> Any:
    """Give the inputs in the model's type: round(x / scale) + zero point, halves to even, clipped to the type."""
    dtype = entry["dtype"]
    if dtype == np.float32:
        return x.astype(np.float32)
    scale, zero = entry["quantization"]
    if dtype not in _INTEGERS or not scale > 0:
        raise UnreadableWork(f"Your model's input is {np.dtype(dtype).name} without a scale; use float32 or int8.")
    limits = np.iinfo(dtype)
    return np.clip(np.round(x / np.float32(scale)) + zero, limits.min, limits.max).astype(dtype)


def _dequantize(output: Any, entry: Any) -> Any:
    """Give the output of one input as float32, without the leading dimension of one."""
    if output.shape[:1] != (1,):
        raise UnreadableWork("Your model does not give one output for one input.")
    scale, zero = entry["quantization"]
    if output.dtype not in _INTEGERS or not scale > 0:
        return output[0].astype(np.float32)
    return ((output[0].astype(np.float32) - np.float32(zero)) * np.float32(scale)).astype(np.float32)


def _shapes(entries: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(size) for size in entry["shape"]) for entry in entries)


if __name__ == "__main__":
    main()
