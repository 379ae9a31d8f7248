"""Tiny .tflite models, written table by table with the schema's object API, so that every figure is known by hand."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from msgspec import Struct, structs


class Tensor(Struct, frozen=True, kw_only=True):
    name: str
    shape: tuple[int, ...]
    dtype: str = "INT8"
    scale: float = 0.0
    zero: int = 0
    data: np.ndarray | None = None
    same_as: int | None = None
    signature: tuple[int, ...] = ()
    sparse: bool = False


class Operator(Struct, frozen=True, kw_only=True):
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


def _graph(graph: Graph, model):
    entry = schema.SubGraphT()
    entry.tensors = [_tensor(tensor, model) for tensor in graph.tensors]
    entry.operators = []
    for operator in graph.operators:
        entry.operators.append(_operator(operator, _code(operator, model)))
    entry.inputs = list(graph.inputs)
    entry.outputs = [index % len(graph.tensors) for index in graph.outputs]
    return entry


def _pack(model, builder):
    """Write the subgraph once and point at it often, as no converter does."""
    graph = model.subgraphs[0].Pack(builder)
    codes = [code.Pack(builder) for code in model.operatorCodes]
    buffers = [buffer.Pack(builder) for buffer in model.buffers]
    vectors = {}
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
    return schema.ModelEnd(builder)


def _tensor(tensor: Tensor, model):
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


def _sparsity(tensor: Tensor):
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


def _code(operator: Operator, model) -> int:
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


def _operator(operator: Operator, number: int):
    entry = schema.OperatorT()
    entry.opcodeIndex = number
    entry.inputs = list(operator.inputs)
    entry.outputs = list(operator.outputs)
    if operator.options is not None:
        kind = type(operator.options).__name__.removesuffix("T")
        entry.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        entry.builtinOptions = operator.options
    return entry


# --- Models whose figures are known ----------------------------------------------------------------------------------


def weights(*shape: int) -> np.ndarray:
    """Small whole numbers, none of them zero, the same every time."""
    return (np.arange(np.prod(shape)) % 7 + 1).reshape(shape).astype(np.int8)


def dense(inputs: int = 4, outputs: int = 3, *, matrix: np.ndarray | None = None) -> bytes:
    """One FULLY_CONNECTED layer, int8 in and out: y = W x + b, with W in eighths, x in sixteenths and y in quarters."""
    matrix = weights(outputs, inputs) if matrix is None else matrix
    return build(
        [
            Tensor(name="x", shape=(1, inputs), scale=1 / 16, zero=-128),
            Tensor(name="w", shape=(outputs, inputs), scale=1 / 8, data=matrix),
            Tensor(name="b", shape=(outputs,), dtype="INT32", scale=1 / 128, data=np.full(outputs, 128, np.int32)),
            Tensor(name="y", shape=(1, outputs), scale=1 / 4),
        ],
        [Operator(name="FULLY_CONNECTED", inputs=(0, 1, 2), outputs=(3,), options=schema.FullyConnectedOptionsT())],
    )


def dense_float(inputs: int = 4, outputs: int = 3) -> bytes:
    """One FULLY_CONNECTED layer in float32: y = W x."""
    return build(
        [
            Tensor(name="x", shape=(1, inputs), dtype="FLOAT32"),
            Tensor(
                name="w",
                shape=(outputs, inputs),
                dtype="FLOAT32",
                data=weights(outputs, inputs).astype(np.float32),
            ),
            Tensor(name="y", shape=(1, outputs), dtype="FLOAT32"),
        ],
        [Operator(name="FULLY_CONNECTED", inputs=(0, 1, -1), outputs=(2,), options=schema.FullyConnectedOptionsT())],
    )


def convolution(
    size: int = 8, channels: int = 4, *, stated: tuple[int, ...] | None = None, dead: tuple[int, ...] = ()
) -> bytes:
    """One 3x3 CONV_2D with SAME padding over a size x size x 1 image; `stated` is what the file says of its output."""
    kernel = weights(channels, 3, 3, 1)
    kernel[list(dead)] = 0
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    options.padding = schema.Padding.SAME
    bias = np.zeros(channels, np.int32)
    return build(
        [
            Tensor(name="x", shape=(1, size, size, 1), scale=1 / 16, zero=-128),
            Tensor(name="w", shape=(channels, 3, 3, 1), scale=1 / 8, data=kernel),
            Tensor(name="b", shape=(channels,), dtype="INT32", scale=1 / 128, data=bias),
            Tensor(name="y", shape=stated or (1, size, size, channels), scale=1 / 4),
        ],
        [Operator(name="CONV_2D", inputs=(0, 1, 2), outputs=(3,), options=options)],
    )


def digit_reader() -> bytes:
    """The layers of the reference of `quantize`, int8: 8x8 images, 16 and 32 filters, 32 units, ten digits."""
    conv = schema.Conv2DOptionsT()
    conv.strideH = conv.strideW = conv.dilationHFactor = conv.dilationWFactor = 1
    conv.padding = schema.Padding.SAME
    pool = schema.Pool2DOptionsT()
    pool.strideH = pool.strideW = pool.filterHeight = pool.filterWidth = 2
    dense_, kernel = schema.FullyConnectedOptionsT(), (1 / 16, 1 / 8)
    shapes = {"first": (16, 3, 3, 1), "second": (32, 3, 3, 16), "hidden": (32, 512), "digits": (10, 32)}
    filters = [Tensor(name=name, shape=shape, scale=kernel[1], data=weights(*shape)) for name, shape in shapes.items()]
    sums = [
        Tensor(name=f"{name}_b", shape=shape[:1], dtype="INT32", scale=1 / 128, data=np.zeros(shape[0], np.int32))
        for name, shape in shapes.items()
    ]
    made = [(1, 8, 8, 1), (1, 8, 8, 16), (1, 4, 4, 16), (1, 4, 4, 32), (1, 512), (1, 32), (1, 10)]
    maps = [Tensor(name=f"map_{number}", shape=shape, scale=kernel[0]) for number, shape in enumerate(made)]
    flat = Tensor(name="flat", shape=(2,), dtype="INT32", data=np.array([1, 512], np.int32))
    operators = [
        Operator(name="CONV_2D", inputs=(0, 7, 11), outputs=(1,), options=conv),
        Operator(name="MAX_POOL_2D", inputs=(1,), outputs=(2,), options=pool),
        Operator(name="CONV_2D", inputs=(2, 8, 12), outputs=(3,), options=conv),
        Operator(name="RESHAPE", inputs=(3, 15), outputs=(4,), options=schema.ReshapeOptionsT()),
        Operator(name="FULLY_CONNECTED", inputs=(4, 9, 13), outputs=(5,), options=dense_),
        Operator(name="FULLY_CONNECTED", inputs=(5, 10, 14), outputs=(6,), options=dense_),
    ]
    return build([*maps, *filters, *sums, flat], operators, outputs=(6,))


def tiled() -> bytes:
    """One TILE, which LiteRT has and TensorFlow Lite Micro has not."""
    return build(
        [
            Tensor(name="x", shape=(1, 4), dtype="FLOAT32"),
            Tensor(name="times", shape=(2,), dtype="INT32", data=np.array([1, 2], np.int32)),
            Tensor(name="y", shape=(1, 8), dtype="FLOAT32"),
        ],
        [Operator(name="TILE", inputs=(0, 1), outputs=(2,), options=schema.TileOptionsT())],
    )


def custom(name: str = "FlexErf") -> bytes:
    """One operator that only TensorFlow has."""
    return build(
        [Tensor(name="x", shape=(1, 4), dtype="FLOAT32"), Tensor(name="y", shape=(1, 4), dtype="FLOAT32")],
        [Operator(name="CUSTOM", inputs=(0,), outputs=(1,), custom=name)],
    )


def added() -> bytes:
    """Two inputs, one ADD."""
    names = ("x", "y", "sum")
    return build(
        [Tensor(name=name, shape=(1, 4), dtype="FLOAT32") for name in names],
        [Operator(name="ADD", inputs=(0, 1), outputs=(2,), options=schema.AddOptionsT())],
        inputs=(0, 1),
    )


def dequantized() -> bytes:
    """An int8 input doubled by an ADD, given out as floats and, as a second output, as it is."""
    quantized = [Tensor(name=name, shape=(1, 4), scale=1 / 4) for name in ("x", "twice")]
    return build(
        [*quantized, Tensor(name="y", shape=(1, 4), dtype="FLOAT32")],
        [
            Operator(name="ADD", inputs=(0, 0), outputs=(1,), options=schema.AddOptionsT()),
            Operator(name="DEQUANTIZE", inputs=(1,), outputs=(2,), options=schema.DequantizeOptionsT()),
        ],
        outputs=(2, 1),
    )
