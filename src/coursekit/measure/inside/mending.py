"""What converters once wrote wrongly, and LiteRT refuses since: set right, so that shapes and parity can be computed.

No shape and no output follows from what is changed. Whether LiteRT runs the model is asked of the file as it is.
"""

from __future__ import annotations

import struct

from ai_edge_litert import schema_py_generated as schema

_DIMENSION = 16
"""The place of `quantized_dimension` in the table of a tensor's quantization, as the schema numbers it."""


def mended(model: bytes) -> bytes:
    """Give a model in which no bias is quantized along a dimension that it does not have; itself if none is.

    Older converters wrote the dimension of the weights there, as in TensorFlow Lite Micro's `person_detect`.
    """
    try:
        root = schema.Model.GetRootAs(model, 0)
        places = [place for number in range(root.SubgraphsLength()) for place in _wrong(root.Subgraphs(number))]
    except (struct.error, ValueError, TypeError, IndexError, OverflowError):  # a table points out of the file
        return model
    if not places:
        return model
    copy = bytearray(model)
    for place in places:
        struct.pack_into("<i", copy, place, 0)
    return bytes(copy)


def _wrong(subgraph: schema.SubGraph) -> list[int]:
    """Find where dimensions stand that their tensors do not have."""
    found = []
    for number in range(subgraph.TensorsLength()):
        tensor = subgraph.Tensors(number)
        quantization = tensor.Quantization()
        if quantization is not None and quantization.QuantizedDimension() >= max(tensor.ShapeLength(), 1):
            table = quantization._tab  # noqa: SLF001 - the accessors have no way to write
            found.append(table.Pos + table.Offset(_DIMENSION))
    return found
