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
from coursekit.measure.inside.graph import Graph


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
    """Run the model once on zeros; give the shapes its tensors then have, or why LiteRT does not run it.

    The shapes that a file states are claims: LiteRT computes its own from the inputs on.
    """
    try:
        running = interpreter(model, reference=False)
        run_on_zeros(running)
        found = {entry["index"]: tuple(int(size) for size in entry["shape"]) for entry in running.get_tensor_details()}
    except (ValueError, RuntimeError, TypeError, MemoryError) as error:
        return reason(error)
    return [found.get(number, tensor.shape) for number, tensor in enumerate(graph.main.tensors)]


def misstated(graph: Graph, computed: list[tuple[int, ...]]) -> str:
    """Say where the file states another shape than running it gave; empty if nowhere.

    A tool that takes the stated shapes as they are would find a file that understates them small.
    """
    for tensor, real in zip(graph.main.tensors, computed, strict=True):
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


def reason(error: Exception) -> str:
    """Give LiteRT's own words for why it refused, in one line."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
