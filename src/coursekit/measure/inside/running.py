"""How LiteRT opens a model here: one thread and the reference kernels, so that outputs are the same on every machine.

XNNPACK, LiteRT's default, and its optimised kernels choose code by the processor they find, and floats then differ in
the last bits from machine to machine. The reference kernels are plain loops: slower, and always the same. They are also
the kernels that TensorFlow Lite Micro starts from. A few operators have no reference kernel in their newest version; a
model with one of them is run with the optimised kernels, on every machine. Where only shapes matter those do anyway.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from coursekit.errors import UnreadableWork
from coursekit.measure.inside.claims import claims
from coursekit.measure.inside.graph import Graph
from coursekit.measure.inside.mending import mended

FAILURES = (ValueError, RuntimeError, TypeError, MemoryError, OverflowError)
"""What LiteRT and its wrapper raise for a model that they cannot open or run."""

_HANDLES = {"resource", "variant"}
"""Types of tensors that hold no numbers, and of which LiteRT tells no shape."""


def interpreter(model: bytes, *, reference: bool = True) -> Any:
    """Give LiteRT's interpreter for a model, not yet allocated; raises ValueError for a file that it refuses."""
    if reference:
        try:
            return _with(OpResolverType.BUILTIN_REF, model)
        except ValueError:  # an operator without a reference kernel; whatever else it is, the next line raises again
            return _with(OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, model)
    return _with(OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, model)


def deployed(model: bytes) -> Any:
    """Give LiteRT's interpreter as an application has it, with XNNPACK and one thread; for times, never for outputs."""
    return _with(OpResolverType.AUTO, model)


def _with(kernels: OpResolverType, model: bytes) -> Any:
    return Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=kernels)


def refuse_custom(graph: Graph) -> None:
    """Refuse a model that needs code which is not in LiteRT; Flex operators are TensorFlow's own."""
    if graph.custom_operators:
        raise UnreadableWork(
            f"Your model uses operators that LiteRT does not have: {', '.join(graph.custom_operators[:10])}.",
            fix="convert it with converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS].",
        )


def try_shapes(model: bytes, graph: Graph) -> list[tuple[int, ...]] | str:
    """Give the shapes that the main subgraph's tensors have when it runs, or why those cannot be known.

    The shapes that a file states are claims: LiteRT computes its own from the inputs on, and where it cannot run the
    model, or where they would be others for other inputs, there are none to count by. The reason follows `because`.
    """
    found = all_shapes(model, graph)
    return found if isinstance(found, str) else found[0]


def all_shapes(model: bytes, graph: Graph) -> list[list[tuple[int, ...]]] | str:
    """Run the model once on zeros and give the shapes of all tensors of all subgraphs, or why they cannot be known."""
    if reason := claims(graph):
        return reason
    try:
        running = interpreter(mended(model), reference=False)
        run_on_zeros(running)
        found = [
            {
                entry["index"]: tuple(int(size) for size in entry["shape"])
                for entry in running.get_tensor_details(number)
            }
            for number in range(len(graph.subgraphs))
        ]
    except FAILURES as error:
        return f"LiteRT cannot run it: {said(error)}"
    shapes = []
    for subgraph, known in zip(graph.subgraphs, found, strict=True):
        for number, tensor in enumerate(subgraph.tensors):
            if number not in known and tensor.data is None and tensor.dtype not in _HANDLES:
                return f"LiteRT cannot say what shape its tensor '{tensor.name}' of {tensor.dtype} has"
        shapes.append([known.get(number, tensor.shape) for number, tensor in enumerate(subgraph.tensors)])
    return shapes


def misstated(graph: Graph, computed: list[list[tuple[int, ...]]]) -> str:
    """Say where the file states another shape than running it gave; empty if nowhere.

    A tool that takes the stated shapes as they are would find a file that understates them small.
    """
    for subgraph, shapes in zip(graph.subgraphs, computed, strict=True):
        for tensor, real in zip(subgraph.tensors, shapes, strict=True):
            if tensor.shape != real:
                stated, given = ("x".join(map(str, shape)) or "none" for shape in (tensor.shape, real))
                return f"the file states for '{tensor.name}' the shape {stated}, and running it gives {given}"
    return ""


def run_on_zeros(running: Any) -> None:
    """Run a model once on zeros of the shapes that it states; raise what LiteRT raises if it cannot."""
    running.allocate_tensors()
    for entry in running.get_input_details():
        running.set_tensor(entry["index"], np.zeros(entry["shape"], entry["dtype"]))
    running.invoke()


def said(error: Exception) -> str:
    """Give LiteRT's own words for why it refused, in one line."""
    return " ".join(str(error).split())[:200].rstrip(".") or f"{type(error).__name__}, without a reason"
