"""Writing tiny .tflite models, table by table with the schema's object API, so that every figure is known by hand.

For attacks and tests: nothing that grades writes a model.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from msgspec import Struct, structs


class Tensor(Struct, frozen=True, kw_only=True):
    """A tensor; one with data is a constant, `same_as` another one's buffer, `signature` a shape with open sizes."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "INT8"
    scale: float = 0.0
    zero: int = 0
    data: np.ndarray[Any, Any] | None = None
    same_as: int | None = None
    signature: tuple[int, ...] = ()
    sparse: bool = False


class Operator(Struct, frozen=True, kw_only=True):
    """An operator by its name in the schema, with the numbers of its tensors."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: object = None
    custom: str = ""


class Graph(Struct, frozen=True, kw_only=True):
    """A further subgraph; its tensors and operators are its own, the buffers are the file's."""

    tensors: list[Tensor]
    operators: list[Operator]
    inputs: tuple[int, ...] = (0,)
    outputs: tuple[int, ...] = (-1,)


def build(
    tensors: list[Tensor],
    operators: list[Operator],
    inputs: tuple[int, ...] = (0,),
    outputs: tuple[int, ...] = (-1,),
    copies: int = 1,
    *,
    open_first: bool = False,
    others: list[Graph] | None = None,
) -> bytes:
    """Give the file; negative outputs count from the end, `copies` repeats the same subgraph by reference.

    With `open_first` the first size of every computed tensor is left open, as converters leave a batch.
    """
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    model.operatorCodes = []
    if open_first:
        tensors = [each if each.data is not None else _opened(each) for each in tensors]
    main = Graph(tensors=tensors, operators=operators, inputs=inputs, outputs=outputs)
    model.subgraphs = [_graph(each, model) for each in (main, *(others or []))] * copies
    builder = flatbuffers.Builder()
    builder.Finish(_pack(model, builder) if copies > 1 else model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _opened(tensor: Tensor) -> Tensor:
    return structs.replace(tensor, signature=(-1, *tensor.shape[1:]))


def _graph(graph: Graph, model: Any) -> Any:
    entry = schema.SubGraphT()
    entry.tensors = [_tensor(tensor, model) for tensor in graph.tensors]
    entry.operators = []
    for operator in graph.operators:
        entry.operators.append(_operator(operator, _code(operator, model)))
    entry.inputs = list(graph.inputs)
    entry.outputs = [index % len(graph.tensors) for index in graph.outputs]
    return entry


def _pack(model: Any, builder: Any) -> int:
    """Write the subgraph once and point at it often, as no converter does."""
    graph = model.subgraphs[0].Pack(builder)
    codes = [code.Pack(builder) for code in model.operatorCodes]
    buffers = [buffer.Pack(builder) for buffer in model.buffers]
    vectors: dict[str, int] = {}
    for name, offsets in (
        ("Subgraphs", [graph] * len(model.subgraphs)),
        ("OperatorCodes", codes),
        ("Buffers", buffers),
    ):
        getattr(schema, f"ModelStart{name}Vector")(builder, len(offsets))
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        vectors[name] = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, model.version)
    for name, vector in vectors.items():
        getattr(schema, f"ModelAdd{name}")(builder, vector)
    return int(schema.ModelEnd(builder))


def _tensor(tensor: Tensor, model: Any) -> Any:
    entry = schema.TensorT()
    entry.name = tensor.name
    entry.shape = list(tensor.shape)
    entry.type = getattr(schema.TensorType, tensor.dtype)
    entry.buffer = 0
    if tensor.same_as is not None:
        entry.buffer = tensor.same_as
    elif tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
        model.buffers.append(buffer)
        entry.buffer = len(model.buffers) - 1
    if tensor.scale:
        entry.quantization = schema.QuantizationParametersT()
        entry.quantization.scale = [tensor.scale]
        entry.quantization.zeroPoint = [tensor.zero]
    if tensor.signature:
        entry.shapeSignature = list(tensor.signature)
    if tensor.sparse:
        entry.sparsity = _sparsity(tensor)
    return entry


def _sparsity(tensor: Tensor) -> Any:
    """Say that the rows of a matrix are dense and its columns sparse, each row with its first value alone."""
    rows, columns = tensor.shape
    dense, sparse = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    dense.format, dense.denseSize = schema.DimensionType.DENSE, rows
    sparse.format, sparse.denseSize = schema.DimensionType.SPARSE_CSR, columns
    sparse.arraySegmentsType = sparse.arrayIndicesType = schema.SparseIndexVector.Int32Vector
    sparse.arraySegments, sparse.arrayIndices = schema.Int32VectorT(), schema.Int32VectorT()
    sparse.arraySegments.values, sparse.arrayIndices.values = list(range(rows + 1)), [0] * rows
    found = schema.SparsityParametersT()
    found.traversalOrder, found.dimMetadata = [0, 1], [dense, sparse]
    return found


def _code(operator: Operator, model: Any) -> int:
    """Give the number of the operator's code, which is written when it is used for the first time."""
    code = schema.OperatorCodeT()
    number = schema.BuiltinOperator.CUSTOM if operator.custom else getattr(schema.BuiltinOperator, operator.name)
    code.builtinCode = number
    code.deprecatedBuiltinCode = min(number, 127)
    code.version = 1
    code.customCode = operator.custom or None
    known = [(each.builtinCode, each.customCode) for each in model.operatorCodes]
    if (number, code.customCode) not in known:
        model.operatorCodes.append(code)
        return len(known)
    return known.index((number, code.customCode))


def _operator(operator: Operator, number: int) -> Any:
    entry = schema.OperatorT()
    entry.opcodeIndex = number
    entry.inputs = list(operator.inputs)
    entry.outputs = list(operator.outputs)
    if operator.options is not None:
        kind = type(operator.options).__name__.removesuffix("T")
        entry.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        entry.builtinOptions = operator.options
    return entry
