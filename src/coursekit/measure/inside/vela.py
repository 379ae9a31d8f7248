"""Compiles `model.tflite` with Vela for an Ethos-U55 and prints what that takes, a `documents.Compiled`, or why not.

The arguments are the accelerator and two sections of `ethos-u.ini`, which lies beside the model. The compiler is the
one that Vela's command runs, called directly: it works in memory, in one thread, and knows no name of a file.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from coursekit.errors import UnreadableWork
from coursekit.measure.documents import SYSTEMS_FILE, CannotRun, Compiled, Left, Missing, NpuStep
from coursekit.measure.inside import counting
from coursekit.measure.inside.answer import answer
from coursekit.measure.inside.graph import Graph, Operator, Subgraph, read
from coursekit.measure.inside.running import all_shapes, misstated

_FAMILY = "EthosU55"

_OPTIONS = """
[compiler]
enable_db=true
output_format=TFLite
cop_format=COP1

[scheduler]
optimize=Performance
arena_size_limit=4294967296
cpu_tensor_alignment=16
tensor_allocator=HillClimb

[graph]
softmax_int16_neg_exp_range=10.0
"""
"""What the command passes when it is told nothing, and the database that says what each operator takes."""

_REFUSALS = (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, SystemError)
"""As what the compiler's C++ exceptions arrive here."""

_OUR_FAULT = "memory not configured"
"""What it says of a configuration that names a section which does not exist."""

_WAITS = {"arithmetic": "npu_cycles", "sram": "Sram_ac", "flash": "OffChipFlash_ac"}
"""Where an operator's cycles go -> the column of what this alone would take; the largest is what it takes."""


def main() -> None:
    """Answer for the model in the working folder."""
    answer(compiled)


def compiled(model: bytes) -> Compiled | CannotRun | Missing:
    """Compile one model whose shapes were checked by running it."""
    graph = read(model)
    try:
        from ethosu import regor  # noqa: PLC0415 - an extra; missing is an answer
    except ImportError:
        return Missing(package="ethos-u-vela", extra="vela")
    shapes = all_shapes(model, graph)
    if isinstance(shapes, str):
        return CannotRun(reason=shapes)
    if lie := misstated(graph, shapes) or _open(graph):
        return CannotRun(reason=lie)
    compiler = regor.Regor(_FAMILY, False)
    compiler.SetSystemConfig(_system(*sys.argv[1:]))
    compiler.SetCompilerOptions(_OPTIONS)
    try:
        with _quiet():
            found = compiler.Compile(model, "TFLITE")
    except _REFUSALS as error:
        if _OUR_FAULT in str(error):
            raise
        return CannotRun(reason=" ".join(str(error).split())[:200].rstrip(".") or type(error).__name__)
    try:
        tables = found.opt_database.tables
    except UnicodeDecodeError:
        return CannotRun(reason="the name of one of its tensors is no text")
    return _report(found, tables, graph, shapes[0])


def _open(graph: Graph) -> str:
    """Say where the file leaves open a size that is not 1; empty if nowhere. Vela takes an open first size for 1."""
    for tensor in graph.main.tensors:
        if any(known < 0 and size != 1 for known, size in zip(tensor.signature, tensor.shape, strict=False)):
            return (
                f"the file leaves a size of '{tensor.name}' open, which Vela takes for 1, and running it gives "
                f"{'x'.join(map(str, tensor.shape))}; convert it with a fixed batch size of 1"
            )
    return ""


def _system(accelerator: str, system: str, placement: str) -> str:
    """Give the compiler's configuration: the accelerator, the names of the two sections, and the sections."""
    macs = int(accelerator.rpartition("-")[2])
    return (
        f"[architecture]\nmacs={macs}\ncores=1\n[vela]\nsystem_config_name={system}\nmemory_mode_name={placement}\n"
        f"{Path(SYSTEMS_FILE).read_text(encoding='utf-8')}"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the compiler warn of every operator and tensor as it likes, to nobody."""
    kept = os.dup(1), os.dup(2)
    nobody = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nobody, 1)
        os.dup2(nobody, 2)
        yield
    finally:
        for number, each in enumerate(kept, start=1):
            os.dup2(each, number)
            os.close(each)
        os.close(nobody)


def _report(found: Any, tables: Any, graph: Graph, shapes: counting.Shapes) -> Compiled:
    told = found.perf_report
    used = {str(name): memory.peakUsage for name, memory in told.memories.items()}
    return Compiled(
        version=version("ethos-u-vela"),
        cycles=told.totalCycles,
        macs=told.macCount,
        stated_macs=None if counting.uncounted(graph) else counting.macs(graph, shapes),
        sram_bytes=used.get("Sram", 0),
        flash_bytes=used.get("OffChipFlash", 0),
        steps=_steps(tables, graph),
        left=_left(bytes(found.model), graph),
    )


def _steps(tables: Any, graph: Graph) -> tuple[NpuStep, ...]:
    """Give what each operator of the file takes, in the order in which they run.

    Vela makes several of one operator, which are added up; those that it does not trace back stand for themselves.
    """
    places = {row["id"]: int(row["ext_key"]) for row in _rows(tables["source"])}
    found: dict[str, NpuStep] = {}
    for number, row in enumerate(_rows(tables["perf"])):
        source = row["source_id"]
        key = source if source in places else f"untraced {number}"
        operator, name = _named(graph, places.get(source, -1), row)
        step = NpuStep(
            operator=operator,
            name=name,
            macs=int(row["mac_count"]),
            cpu=row["operator"] == "Passthrough",
            **_spent(row),
        )
        found[key] = _added(found[key], step) if key in found else step
    return tuple(found.values())


def _spent(row: dict[str, str]) -> dict[str, int]:
    """Give all cycles of one of Vela's operators to what takes longest there; to arithmetic where several do."""
    longest = max(_WAITS, key=lambda each: int(row[_WAITS[each]]))
    return {each: int(row["op_cycles"]) if each == longest else 0 for each in _WAITS}


def _added(one: NpuStep, more: NpuStep) -> NpuStep:
    return msgspec.structs.replace(
        one,
        macs=one.macs + more.macs,
        cpu=one.cpu or more.cpu,
        **{each: getattr(one, each) + getattr(more, each) for each in _WAITS},
    )


def _rows(table: Any) -> Iterator[dict[str, str]]:
    return (dict(zip(table.header, row, strict=True)) for row in table.data)


def _named(graph: Graph, place: int, row: dict[str, str]) -> tuple[str, str]:
    """Give an operator's name in the file and that of the tensor which it makes; Vela's own where it is not known."""
    if len(graph.subgraphs) == 1 and 0 <= place < len(graph.main.operators):
        operator = graph.main.operators[place]
        return operator.name, graph.main.tensor(operator.outputs[0]).name if operator.outputs else ""
    return row["operator"], row["name"]


def _left(model: bytes, graph: Graph) -> tuple[Left, ...]:
    """Give what of the compiled file is not for the NPU, whose part is one custom operator or several."""
    try:
        made = read(model)
    except UnreadableWork as error:
        raise RuntimeError("the compiled file cannot be read") from error
    found = [
        Left(operator=operator.name, values=_values(subgraph, operator))
        for subgraph in made.subgraphs
        for operator in subgraph.operators
        if operator.name != "CUSTOM"
    ]
    return (*found, *(Left(operator=name, values=0) for name in graph.custom_operators))


def _values(subgraph: Subgraph, operator: Operator) -> int:
    """Count the computed values that an operator reads and makes."""
    tensors = (subgraph.tensor(index) for index in (*operator.inputs, *operator.outputs) if index >= 0)
    return sum(math.prod(tensor.shape) for tensor in tensors if tensor.data is None)


if __name__ == "__main__":
    main()
