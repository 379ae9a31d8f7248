"""Tiny .tflite models whose figures are known by hand; `coursekit.measure.writing` writes them."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from coursekit.measure.writing import Graph, Operator, Tensor, build

__all__ = ["Graph", "Operator", "Tensor", "build"]

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
