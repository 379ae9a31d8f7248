"""The engine `litert`: what a model answers, and whether LiteRT runs it at all.

Source: the `ai-edge-litert` package, with one thread and its reference kernels (`inside/running.py` says why), so that
the same model and inputs give the same outputs on every machine. Labels never enter the box.
"""

from __future__ import annotations

import io
import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from coursekit.errors import GraderError, ToolError, UnreadableWork
from coursekit.measure.asking import ask, by, clean, decode
from coursekit.measure.documents import INPUT_FILE, CannotRun, Runs
from coursekit.profiles import Profile
from coursekit.records import Measurement, RunInside

_READER = "LiteRT"
_HEADER = re.compile(
    rb"\x93NUMPY\x01\0..\{'descr': '<f4', 'fortran_order': False, "
    rb"'shape': \((\d{1,18}(?:, \d{1,18}){0,31},?)\), \} *\n",
    re.DOTALL,
)


class LiteRT:
    """Says whether LiteRT runs the model and the shapes of its inputs and outputs, batch included, as in 1x8x8x1.

    All three are words. Where `litert_runs` is `no`, its note says why, and the shapes are `unknown`.
    """

    name = "litert"
    metrics = ("litert_runs", "input_shape", "output_shape")

    def measure(
        self,
        model: bytes,
        profile: Profile | None,  # noqa: ARG002 - outputs do not depend on the board
        inside: RunInside,
    ) -> tuple[Measurement, ...]:
        """Run the model once on zeros and give its shapes."""
        printed = ask(inside, "litert", _READER, model, "describe")
        found: Runs | CannotRun = decode(printed, Runs | CannotRun, _READER)
        if isinstance(found, CannotRun):
            note = clean(found.reason, 400)
            values = {"litert_runs": "no", "input_shape": "unknown", "output_shape": "unknown"}
        else:
            note = ""
            inputs, outputs = (", ".join(by(*shape) for shape in shapes) for shapes in (found.inputs, found.outputs))
            values = {"litert_runs": "yes", "input_shape": clean(inputs), "output_shape": clean(outputs)}
        return tuple(
            Measurement(metric=metric, value=value, unit="", engine=self.name, note=note)
            for metric, value in values.items()
        )


def predict(model: bytes, x: npt.NDArray[Any], inside: RunInside) -> npt.NDArray[np.float32]:
    """Give the model's outputs for each row of `x`, float32 of shape (n, ...).

    `x` has the shape (n, ...input shape without batch) in the units of the float model: integer inputs are quantized
    and integer outputs dequantized in the box. Outputs may hold NaN. Raises `UnreadableWork` if the model takes another
    shape, needs operators that LiteRT does not have, or cannot be run.
    """
    if not np.issubdtype(x.dtype, np.number) or x.ndim < 1 or len(x) < 1:
        raise GraderError(f"a model is fed an array of {x.dtype} of shape {by(*x.shape)}; it needs numbers, in rows.")
    fed = io.BytesIO()
    np.save(fed, np.ascontiguousarray(x, np.float32), allow_pickle=False)
    printed = ask(inside, "litert", _READER, model, "predict", files={INPUT_FILE: fed.getvalue()})
    if not printed.startswith(b"\x93NUMPY"):
        decode(printed, CannotRun, _READER)  # raises: the only documents it prints here are problems
        raise ToolError(f"{_READER} gave no outputs.")
    return _outputs(printed, len(x))


def _outputs(printed: bytes, rows: int) -> npt.NDArray[np.float32]:
    """Decode an .npy file from the box, of the one form that our program writes, and by no size that it only states.

    NumPy itself would have Python parse the header as an expression.
    """
    header = _HEADER.match(printed)
    if header is None:
        raise ToolError(f"{_READER} gave outputs that cannot be read.")
    shape = tuple(int(size) for size in header[1].split(b",") if size)
    data = printed[header.end() :]
    if shape[:1] != (rows,) or math.prod(shape) * 4 != len(data):
        raise ToolError(f"{_READER} gave {len(data)} bytes for an array of shape {by(*shape)} and {rows} inputs.")
    if math.prod(shape) == 0:
        raise UnreadableWork("Your model's output is empty.")
    return np.frombuffer(data, np.float32).reshape(shape)
