"""Models that no course hands out: damaged, doctored, or honest and unusual. Each is built by hand."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from models import Graph, Operator, Tensor, build, convolution, dense, weights

HUGE = 2**31 - 1


def conv_options(padding: int = schema.Padding.SAME, stride: int = 1):
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = stride
    options.dilationHFactor = options.dilationWFactor = 1
    options.padding = padding
    return options


def numbers(name: str, *values: int) -> Tensor:
    """A constant vector of 32-bit numbers."""
    return Tensor(name=name, shape=(len(values),), dtype="INT32", data=np.array(values, np.int32))


def floats(name: str, *shape: int) -> Tensor:
    return Tensor(name=name, shape=shape, dtype="FLOAT32")


def int8(name: str, *shape: int, signature: tuple[int, ...] = ()) -> Tensor:
    return Tensor(name=name, shape=shape, scale=1 / 4, signature=signature)


def add(one: int, other: int, out: int) -> Operator:
    return Operator(name="ADD", inputs=(one, other), outputs=(out,), options=schema.AddOptionsT())


def mul(one: int, other: int, out: int) -> Operator:
    return Operator(name="MUL", inputs=(one, other), outputs=(out,), options=schema.MulOptionsT())


def relu(source: int, out: int) -> Operator:
    return Operator(name="RELU", inputs=(source,), outputs=(out,))


# --- Several subgraphs -----------------------------------------------------------------------------------------------


def _layer(inputs: int, outputs: int) -> Graph:
    return Graph(
        tensors=[
            Tensor(name="in", shape=(1, inputs), scale=1 / 16, zero=-128),
            Tensor(name="kernel", shape=(outputs, inputs), scale=1 / 8, data=weights(outputs, inputs)),
            Tensor(name="bias", shape=(outputs,), dtype="INT32", scale=1 / 128, data=np.zeros(outputs, np.int32)),
            Tensor(name="out", shape=(1, outputs), scale=1 / 4),
        ],
        operators=[
            Operator(name="FULLY_CONNECTED", inputs=(0, 1, 2), outputs=(3,), options=schema.FullyConnectedOptionsT())
        ],
    )


def two_signatures() -> bytes:
    """A dense layer of 4 by 3, and another graph with one of 100 by 50 that nothing calls."""
    first = _layer(4, 3)
    return build(first.tensors, first.operators, others=[_layer(100, 50)])


def branching() -> bytes:
    """A flag that chooses between two dense layers, one of them large."""
    options = schema.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = 1, 2
    tensors = [
        Tensor(name="flag", shape=(1,), dtype="BOOL"),
        Tensor(name="x", shape=(1, 4), scale=1 / 16, zero=-128),
        Tensor(name="y", shape=(1, 3), scale=1 / 4),
    ]
    operator = Operator(name="IF", inputs=(0, 1), outputs=(2,), options=options)
    return build(tensors, [operator], inputs=(0, 1), others=[_layer(4, 3), _layer(4, 3)])


def looping(*, forever: bool = False) -> bytes:
    """Adds one to a number, in a subgraph, until it is 1,000, or while it is what it is."""
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    count = Tensor(name="n", shape=(1,), dtype="INT32")
    less = Graph(
        tensors=[count, numbers("most", 1000), Tensor(name="go", shape=(1,), dtype="BOOL")],
        operators=[Operator(name="EQUAL" if forever else "LESS", inputs=(0, 0 if forever else 1), outputs=(2,))],
    )
    more = Graph(
        tensors=[count, numbers("one", 1), Tensor(name="next", shape=(1,), dtype="INT32")], operators=[add(0, 1, 2)]
    )
    tensors = [count, Tensor(name="end", shape=(1,), dtype="INT32")]
    return build(tensors, [Operator(name="WHILE", inputs=(0,), outputs=(1,), options=options)], others=[less, more])


def calling() -> bytes:
    """A CALL of a subgraph, which no runtime has."""
    options = schema.CallOptionsT()
    options.subgraph = 1
    tensors = [Tensor(name="x", shape=(1, 4)), Tensor(name="y", shape=(1, 3))]
    operator = Operator(name="CALL", inputs=(0,), outputs=(1,), options=options)
    return build(tensors, [operator], others=[_layer(4, 3)])


# --- Sizes -----------------------------------------------------------------------------------------------------------


def open_convolution(shape: tuple[int, ...], signature: tuple[int, ...]) -> bytes:
    """A 3x3 convolution over an image of this stated shape, with -1 for what is not fixed."""
    out = (*shape[:3], 4)
    return build(
        [
            Tensor(name="x", shape=shape, scale=1 / 16, zero=-128, signature=signature),
            Tensor(name="w", shape=(4, 3, 3, 1), scale=1 / 8, data=weights(4, 3, 3, 1)),
            Tensor(name="b", shape=(4,), dtype="INT32", scale=1 / 128, data=np.zeros(4, np.int32)),
            Tensor(name="y", shape=out, scale=1 / 4),
        ],
        [Operator(name="CONV_2D", inputs=(0, 1, 2), outputs=(3,), options=conv_options())],
    )


def stated(*shape: int) -> bytes:
    """A RELU over a tensor of this shape."""
    return build([floats("x", *shape), floats("y", *shape)], [relu(0, 1)])


def overflowing() -> bytes:
    """A convolution whose sizes multiply past 64 bits."""
    return open_convolution((HUGE, HUGE, HUGE, 1), ())


def stored(values: int) -> bytes:
    """A dense layer of 4 by 3 whose weights are this many bytes."""
    return dense(4, 3, matrix=np.ones(values, np.int8))


def tiled_by_input() -> bytes:
    """A TILE that makes its input as often as its other input says."""
    return build(
        [int8("x", 1, 4), Tensor(name="times", shape=(2,), dtype="INT32"), int8("y", 1, 4)],
        [Operator(name="TILE", inputs=(0, 1), outputs=(2,), options=schema.TileOptionsT())],
        inputs=(0, 1),
    )


def shaped_by_value() -> bytes:
    """Its output has the shape that the values of its input say."""
    whole = Tensor(name="whole", shape=(1, 4), dtype="INT32")
    flat = Tensor(name="flat", shape=(4,), dtype="INT32")
    one = Tensor(name="one", shape=(), dtype="FLOAT32", data=np.array(1, np.float32))
    return build(
        [floats("x", 1, 4), whole, numbers("four", 4), flat, one, floats("y", 1, 1, 1, 1)],
        [
            Operator(name="CAST", inputs=(0,), outputs=(1,)),
            Operator(name="RESHAPE", inputs=(1, 2), outputs=(3,)),
            Operator(name="FILL", inputs=(3, 4), outputs=(5,)),
        ],
    )


def where() -> bytes:
    """The places of its input that are true: as many rows as there are."""
    return build(
        [Tensor(name="x", shape=(100,), dtype="BOOL"), Tensor(name="y", shape=(100, 1), dtype="INT64")],
        [Operator(name="WHERE", inputs=(0,), outputs=(1,))],
    )


def resized(size: int = 64) -> bytes:
    """One pixel made as large as this."""
    return build(
        [int8("x", 1, 1, 1, 1), numbers("size", size, size), int8("y", 1, size, size, 1)],
        [
            Operator(
                name="RESIZE_NEAREST_NEIGHBOR",
                inputs=(0, 1),
                outputs=(2,),
                options=schema.ResizeNearestNeighborOptionsT(),
            )
        ],
    )


def padded_and_cut(size: int = 512) -> bytes:
    """An image padded to a large one, which is cut back to one pixel."""
    around = Tensor(
        name="around",
        shape=(4, 2),
        dtype="INT32",
        data=np.array([[0, 0], [0, size - 8], [0, size - 8], [0, 0]], np.int32),
    )
    tensors = [
        int8("x", 1, 8, 8, 1),
        around,
        int8("large", 1, size, size, 1),
        numbers("begin", 0, 0, 0, 0),
        numbers("size", 1, 1, 1, 1),
        int8("y", 1, 1, 1, 1),
    ]
    return build(
        tensors,
        [
            Operator(name="PAD", inputs=(0, 1), outputs=(2,), options=schema.PadOptionsT()),
            Operator(name="SLICE", inputs=(2, 3, 4), outputs=(5,), options=schema.SliceOptionsT()),
        ],
    )


# --- Order -----------------------------------------------------------------------------------------------------------


def read_too_early() -> bytes:
    """Two operators that read each other's output."""
    return build([floats("x", 1, 4), floats("a", 1, 4), floats("b", 1, 4)], [add(0, 2, 1), relu(1, 2)])


def made_twice() -> bytes:
    """A large tensor that a later operator makes again, small: at the end of a run its size is the small one."""
    first = Operator(name="TILE", inputs=(0, 1), outputs=(3,), options=schema.TileOptionsT())
    second = Operator(name="TILE", inputs=(0, 2), outputs=(3,), options=schema.TileOptionsT())
    return build([int8("x", 1, 4), numbers("many", 1, 999), numbers("one", 1, 1), int8("y", 1, 4)], [first, second])


def made_and_stored() -> bytes:
    """A dense layer whose output is in the file too, so that it looks like a constant."""
    tensors = [
        Tensor(name="x", shape=(1, 4), scale=1 / 16),
        Tensor(name="w", shape=(3, 4), scale=1 / 8, data=weights(3, 4)),
        Tensor(name="b", shape=(3,), dtype="INT32", scale=1 / 128, data=np.zeros(3, np.int32)),
        Tensor(name="y", shape=(1, 3), scale=1 / 4, data=np.zeros(3, np.int8)),
    ]
    options = schema.FullyConnectedOptionsT()
    return build(tensors, [Operator(name="FULLY_CONNECTED", inputs=(0, 1, 2), outputs=(3,), options=options)])


def chain(length: int) -> bytes:
    """So many RELUs one after the other."""
    tensors = [int8(str(number), 1, 4) for number in range(length + 1)]
    return build(tensors, [relu(number, number + 1) for number in range(length)])


def repeated(times: int) -> bytes:
    """Ten operators, and so many references to their graph: a small file with any number of operators."""
    return build([int8(str(number), 1, 4) for number in range(11)], [relu(n, n + 1) for n in range(10)], copies=times)


def one_operator_again_and_again(times: int) -> bytes:
    """One table of an operator that the list of operators names so many times."""
    model = schema.ModelT.InitFromPackedBuf(build([int8("x", 1, 4), int8("y", 1, 4)], [relu(0, 1)]))
    graph = model.subgraphs[0]
    builder = flatbuffers.Builder()
    tensors = [tensor.Pack(builder) for tensor in graph.tensors]
    operator = graph.operators[0].Pack(builder)
    vectors = {}
    for name, offsets in (("Tensors", tensors), ("Operators", [operator] * times)):
        getattr(schema, f"SubGraphStart{name}Vector")(builder, len(offsets))
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        vectors[name] = builder.EndVector()
    ends = {}
    for name, index in (("Inputs", 0), ("Outputs", 1)):
        getattr(schema, f"SubGraphStart{name}Vector")(builder, 1)
        builder.PrependInt32(index)
        ends[name] = builder.EndVector()
    schema.SubGraphStart(builder)
    for name, vector in {**vectors, **ends}.items():
        getattr(schema, f"SubGraphAdd{name}")(builder, vector)
    packed = schema.SubGraphEnd(builder)
    codes = [code.Pack(builder) for code in model.operatorCodes]
    buffers = [buffer.Pack(builder) for buffer in model.buffers]
    whole = {}
    for name, offsets in (("Subgraphs", [packed]), ("OperatorCodes", codes), ("Buffers", buffers)):
        getattr(schema, f"ModelStart{name}Vector")(builder, len(offsets))
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        whole[name] = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    for name, vector in whole.items():
        getattr(schema, f"ModelAdd{name}")(builder, vector)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def with_long_lists(length: int) -> bytes:
    """Operators that each name a list of so many inputs."""
    packed = Operator(name="PACK", inputs=(0,) * length, outputs=(1,), options=schema.PackOptionsT())
    return build([int8("x", 1, 4), int8("y", length, 1, 4)], [packed] * 5)


# --- Work that does not look like it ---------------------------------------------------------------------------------


def idle() -> bytes:
    """An answer that is stored, whatever the input is."""
    return build([int8("x", 1, 4), Tensor(name="y", shape=(1, 3), scale=1 / 4, data=np.ones(3, np.int8))], [])


def passing() -> bytes:
    """A model that gives back what it is given."""
    return build([int8("x", 1, 4)], [], outputs=(0,))


def renaming() -> bytes:
    """A model that gives back what it is given in another shape."""
    options = schema.ReshapeOptionsT()
    options.newShape = [4, 1]
    return build(
        [int8("x", 1, 4), numbers("shape", 4, 1), int8("y", 4, 1)],
        [Operator(name="RESHAPE", inputs=(0, 1), outputs=(2,), options=options)],
    )


def with_a_dead_layer() -> bytes:
    """A dense layer of 4 by 3, and one of 4 by 100 that nothing reads."""
    one, more = _layer(4, 3), _layer(4, 100)
    unused = Operator(name="FULLY_CONNECTED", inputs=(0, 5, 6), outputs=(7,), options=schema.FullyConnectedOptionsT())
    return build([*one.tensors, *more.tensors], [*one.operators, unused], outputs=(3,))


def multiplied_by_hand(inputs: int = 16, outputs: int = 8) -> bytes:
    """A dense layer as a MUL and a SUM, which are no multiply-accumulates by name."""
    options = schema.ReducerOptionsT()
    options.keepDims = False
    tensors = [
        floats("x", 1, inputs),
        Tensor(name="w", shape=(outputs, inputs), dtype="FLOAT32", data=weights(outputs, inputs).astype(np.float32)),
        floats("products", outputs, inputs),
        numbers("axis", 1),
        floats("y", outputs),
    ]
    return build(tensors, [mul(0, 1, 2), Operator(name="SUM", inputs=(2, 3), outputs=(4,), options=options)])


def counted_in_32_bits(times: int = 100) -> bytes:
    """Sums of 64 32-bit numbers, again and again: they are about values, though so few could be about shapes."""
    tensors = [Tensor(name=str(number), shape=(1, 64), dtype="INT32") for number in range(times + 1)]
    return build(tensors, [add(number, number, number + 1) for number in range(times)])


def halved(dtype: str = "FLOAT16") -> bytes:
    """A dense layer in float32 whose weights are stored in 16 bits and made 32 each time."""
    tensors = [
        floats("x", 1, 4),
        Tensor(name="half", shape=(3, 4), dtype=dtype, data=weights(3, 4).astype(np.float16)),
        floats("w", 3, 4),
        floats("y", 1, 3),
    ]
    return build(
        tensors,
        [
            Operator(name="DEQUANTIZE", inputs=(1,), outputs=(2,), options=schema.DequantizeOptionsT()),
            Operator(name="FULLY_CONNECTED", inputs=(0, 2, -1), outputs=(3,), options=schema.FullyConnectedOptionsT()),
        ],
    )


def pooled_squares(size: int = 32) -> bytes:
    """An L2 pool whose window is the whole image, at every place."""
    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = 1
    options.filterHeight = options.filterWidth = size
    return build(
        [floats("x", 1, size, size, 1), floats("y", 1, size, size, 1)],
        [Operator(name="L2_POOL_2D", inputs=(0,), outputs=(1,), options=options)],
    )


def summed_constant(count: int = 10_000) -> bytes:
    """The sum of a stored tensor, added to the input."""
    options = schema.ReducerOptionsT()
    options.keepDims = True
    tensors = [
        int8("x", 1, 1),
        Tensor(name="stored", shape=(1, count), scale=1 / 4, data=weights(1, count)),
        numbers("axis", 1),
        int8("sum", 1, 1),
        int8("y", 1, 1),
    ]
    return build(tensors, [Operator(name="SUM", inputs=(1, 2), outputs=(3,), options=options), add(0, 3, 4)])


# --- Weights ---------------------------------------------------------------------------------------------------------


def four_bits() -> bytes:
    """A dense layer of 4 by 3 whose weights are int4, two in a byte."""
    return _dense_of(Tensor(name="w", shape=(3, 4), dtype="INT4", scale=1 / 8, data=np.full(6, 0x11, np.uint8)))


def sparse(*, honest: bool) -> bytes:
    """A dense layer of 64 by 8 whose weights are said to be sparse, with or without fewer bytes."""
    matrix = np.ones(8 if honest else 8 * 64, np.int8)
    return _dense_of(Tensor(name="w", shape=(8, 64), scale=1 / 8, data=matrix, sparse=True))


def plain() -> bytes:
    """The same layer of 64 by 8, dense."""
    return _dense_of(Tensor(name="w", shape=(8, 64), scale=1 / 8, data=np.ones(8 * 64, np.int8)))


def _dense_of(matrix: Tensor) -> bytes:
    outputs, inputs = matrix.shape
    return build(
        [
            Tensor(name="x", shape=(1, inputs), scale=1 / 16, zero=-128),
            matrix,
            Tensor(name="b", shape=(outputs,), dtype="INT32", scale=1 / 128, data=np.zeros(outputs, np.int32)),
            Tensor(name="y", shape=(1, outputs), scale=1 / 4),
        ],
        [Operator(name="FULLY_CONNECTED", inputs=(0, 1, 2), outputs=(3,), options=schema.FullyConnectedOptionsT())],
    )


def pruned(*, removed: bool) -> bytes:
    """A convolution with four channels of which two are all zero; or the same without these two."""
    return convolution(8, 2) if removed else convolution(8, 4, dead=(1, 3))


def large(count: int) -> bytes:
    """A dense layer whose weights are so many bytes."""
    return dense(1000, count // 1000, matrix=np.ones((count // 1000, 1000), np.int8))


def densified() -> bytes:
    """A dense layer of 64 by 8 whose weights are stored sparse, in 8 bytes, and made dense by an operator."""
    matrix = Tensor(name="sparse", shape=(8, 64), scale=1 / 8, data=np.ones(8, np.int8), sparse=True)
    whole = _layer(64, 8)
    whole.tensors[1] = Tensor(name="kernel", shape=(8, 64), scale=1 / 8)
    densify = Operator(name="DENSIFY", inputs=(4,), outputs=(1,), options=schema.DensifyOptionsT())
    return build([*whole.tensors, matrix], [densify, *whole.operators], outputs=(3,))


def with_a_wrong_dimension() -> bytes:
    """A dense layer of 4 by 3 whose bias is quantized along a dimension that it does not have, as was once written."""
    model = schema.ModelT.InitFromPackedBuf(dense(4, 3))
    model.subgraphs[0].tensors[2].quantization.quantizedDimension = 3
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
