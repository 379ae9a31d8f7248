"""A .tflite file as plain records: tensors, operators and constants, read without trusting a length in it.

The schema is the one that LiteRT ships. Its Python accessors check every access against the end of the file, so what a
hostile file can do here is to be wrong or to take long. Nothing is allocated by a size that the file merely declares.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from msgspec import Struct

from coursekit.errors import UnreadableWork

MAX_ENTRIES = 100_000
"""Tensors and operator codes in one file."""

MAX_OPERATORS = 20_000
"""Operators in one file: what LiteRT needs to plan them grows with their square."""

MAX_NUMBERS = 4_000_000
"""Numbers in the lists of all tensors and operators together, and letters of all names: lists may overlap too."""

_TYPES = {number: name.lower() for name, number in vars(schema.TensorType).items() if name.isupper()}
_BUILTINS = {number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()}


class Tensor(Struct, frozen=True, kw_only=True):
    """One tensor of a subgraph."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    buffer: int
    data: Any
    """The constant's bytes as a uint8 array that shares the file's memory; None if it is computed."""
    quantized: bool
    zero_points: tuple[int, ...]
    sparse: bool
    signature: tuple[int, ...] = ()
    """The shape with -1 for every size that is not fixed; empty if all are."""
    variable: bool = False
    """It keeps its values from one inference to the next."""


class Operator(Struct, frozen=True, kw_only=True):
    """One step of a subgraph; an input of -1 is left out."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    adj_x: bool = False
    """BATCH_MATMUL only: the first operand is transposed."""
    window: int = 1
    """Pooling only: how many values one output is drawn from."""


class Subgraph(Struct, frozen=True, kw_only=True):
    """One function of the model."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def tensor(self, index: int) -> Tensor:
        """Give the tensor of this number; one that does not exist makes the file unreadable."""
        if not 0 <= index < len(self.tensors):
            raise UnreadableWork(f"Your model is damaged: it names tensor {index}, which it does not have.")
        return self.tensors[index]


class Graph(Struct, frozen=True, kw_only=True):
    """The whole file. The first subgraph is the model; others are called from it or are further signatures."""

    subgraphs: tuple[Subgraph, ...]
    custom_operators: tuple[str, ...]

    @property
    def main(self) -> Subgraph:
        """The subgraph that runs when the model runs."""
        return self.subgraphs[0]


def read(model: bytes) -> Graph:
    """Give the contents of a .tflite file; raises `UnreadableWork` wherever they make no sense."""
    try:
        return _read(model)
    except (struct.error, ValueError, TypeError, IndexError, OverflowError) as error:  # a table points out of the file
        raise UnreadableWork(
            "Your model is damaged: it cannot be read as a TensorFlow Lite file.",
            fix="convert it again and hand in all of its bytes.",
        ) from error


def _read(model: bytes) -> Graph:
    if len(model) < 8 or model[4:8] != b"TFL3":
        raise UnreadableWork("Your model is not a TensorFlow Lite file.")
    root = schema.Model.GetRootAs(model, 0)
    if root.SubgraphsLength() == 0:
        raise UnreadableWork("Your model is damaged: it has no graph.")
    names, custom = _operator_names(root)
    budget = _Budget()
    entries = [root.Subgraphs(number) for number in range(budget.take(root.SubgraphsLength(), "graphs"))]
    for entry in entries:  # before any is read
        budget.take(entry.TensorsLength(), "tensors")
        budget.take(entry.OperatorsLength(), "operators", MAX_OPERATORS)
    subgraphs = tuple(_subgraph(root, entry, names, model, budget) for entry in entries)
    return Graph(subgraphs=subgraphs, custom_operators=custom)


class _Budget:
    """Counts entries over the whole file: overlapping tables make a small file declare any number of them."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}

    def take(self, count: int, kind: str, most: int = MAX_ENTRIES) -> int:
        self.taken[kind] = self.taken.get(kind, 0) + count
        if self.taken[kind] > most:
            raise UnreadableWork(f"Your model has more than {most:,} {kind}.")
        return count

    def numbers(self, vector: Any, length: int) -> tuple[int, ...]:
        """Give a vector of whole numbers; the accessor returns 0 where there is none."""
        if length == 0:
            return ()
        self.take(length, "numbers in its lists", MAX_NUMBERS)
        return tuple(vector.tolist())


def _operator_names(root: Any) -> tuple[list[str], tuple[str, ...]]:
    """Give the name of each operator code, and the names of the custom ones."""
    names: list[str] = []
    custom: set[str] = set()
    for number in range(_Budget().take(root.OperatorCodesLength(), "operator codes")):
        entry = root.OperatorCodes(number)
        code = max(entry.DeprecatedBuiltinCode(), entry.BuiltinCode())
        names.append(_BUILTINS.get(code, f"operator {code}"))
        if code == schema.BuiltinOperator.CUSTOM:
            custom.add((entry.CustomCode() or b"without a name").decode("utf-8", "replace")[:80])
    return names, tuple(sorted(custom))


def _subgraph(root: Any, entry: Any, names: list[str], model: bytes, budget: _Budget) -> Subgraph:
    return Subgraph(
        tensors=tuple(_tensor(root, entry.Tensors(number), model, budget) for number in range(entry.TensorsLength())),
        operators=tuple(_operator(entry.Operators(number), names, budget) for number in range(entry.OperatorsLength())),
        inputs=budget.numbers(entry.InputsAsNumpy(), entry.InputsLength()),
        outputs=budget.numbers(entry.OutputsAsNumpy(), entry.OutputsLength()),
    )


def _operator(entry: Any, names: list[str], budget: _Budget) -> Operator:
    name = names[entry.OpcodeIndex()]
    adj_x = False
    if name == "BATCH_MATMUL" and (table := entry.BuiltinOptions()) is not None:
        options = schema.BatchMatMulOptions()
        options.Init(table.Bytes, table.Pos)
        adj_x = options.AdjX()
    window = 1
    if name in {"MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D"} and (table := entry.BuiltinOptions()) is not None:
        pool = schema.Pool2DOptions()
        pool.Init(table.Bytes, table.Pos)
        window = max(pool.FilterHeight(), 1) * max(pool.FilterWidth(), 1)
    return Operator(
        name=name,
        inputs=budget.numbers(entry.InputsAsNumpy(), entry.InputsLength()),
        outputs=budget.numbers(entry.OutputsAsNumpy(), entry.OutputsLength()),
        adj_x=adj_x,
        window=window,
    )


def _tensor(root: Any, entry: Any, model: bytes, budget: _Budget) -> Tensor:
    if entry.ExternalBuffer():
        raise UnreadableWork("Your model keeps weights in another file; it must be one file.")
    name = entry.Name() or b""
    budget.take(len(name), "letters in its names", MAX_NUMBERS)
    shape = budget.numbers(entry.ShapeAsNumpy(), entry.ShapeLength())
    if any(size < 0 for size in shape):
        raise UnreadableWork("Your model is damaged: a tensor has a negative size.")
    quantization = entry.Quantization()
    zero_points: tuple[int, ...] = ()
    if quantization is not None and quantization.ZeroPointLength():
        zero_points = budget.numbers(quantization.ZeroPointAsNumpy(), quantization.ZeroPointLength())
    return Tensor(
        name=name.decode("utf-8", "replace")[:80],
        dtype=_TYPES.get(entry.Type(), f"type {entry.Type()}"),
        shape=shape,
        buffer=entry.Buffer(),
        data=_constant(root, entry.Buffer(), model),
        quantized=quantization is not None and quantization.ScaleLength() > 0,
        zero_points=zero_points,
        sparse=entry.Sparsity() is not None,
        signature=budget.numbers(entry.ShapeSignatureAsNumpy(), entry.ShapeSignatureLength()),
        variable=entry.IsVariable(),
    )


def _constant(root: Any, number: int, model: bytes) -> Any:
    """Give the bytes of a buffer as they lie in the file, behind it for files over 2 GB; None if it has none."""
    if number == 0:  # by the schema always empty: the tensor is computed
        return None
    if number >= root.BuffersLength():
        raise UnreadableWork(f"Your model is damaged: it names buffer {number}, which it does not have.")
    buffer = root.Buffers(number)
    if buffer.DataLength():
        return buffer.DataAsNumpy()
    if buffer.Offset() > 1 and buffer.Size():  # an offset of 1 is the converter's mark for "not set yet"
        return np.frombuffer(model, np.uint8, buffer.Size(), buffer.Offset())
    return None
