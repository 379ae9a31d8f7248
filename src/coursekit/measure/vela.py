"""The engine `vela`: what a model takes on an Arm Ethos-U55, as Arm's compiler plans it.

Source: the `ethos-u-vela` package of the release that a profile names, run in a box on the system and the placement
of memory that the profile names in `profiles/ethos-u.ini`. Memory is what the compiler allocates, and exact. Cycles are
its own model of the NPU, of which Arm says that it should not be taken for real performance: hence the wide band. The
compiler does not say what operators take that it leaves to the processor, so a model with such work is not graded.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from coursekit.errors import ToolError, UnreadableWork
from coursekit.measure.asking import UNKNOWN, ask, clean, decode, rounded
from coursekit.measure.documents import SYSTEMS_FILE, CannotRun, Compiled, NpuStep
from coursekit.profiles import Profile, vela_systems
from coursekit.records import Breakdown, Measurement, Part, RunInside, Status

_READER = "Vela"

_NO_WORK = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "SHAPE", "QUANTIZE", "DEQUANTIZE", "CAST", "SOFTMAX", "LOGISTIC"}
_NO_WORK |= {"ARG_MAX", "ARG_MIN"}
"""Operators that a processor does in passing where they touch few values: what converters put at a model's ends."""

_FEW = 128
"""This many values, read and made by all such operators together, are few."""

_BOUNDS = {"arithmetic": "arithmetic", "sram": "SRAM", "flash": "flash"}
"""What an NPU waits for, as the box says it and as people do."""


class Vela:
    """Gives `latency_ms`, the NPU's cycles, memory and MACs, what bounds it, and the operators left on the processor.

    Units: milliseconds to a nanosecond, cycles, bytes, MACs (as many as the NPU does, a few more than the file has),
    operators; `npu_bottleneck` is arithmetic, SRAM or flash, by the cycles that are spent waiting for each, and
    `cpu_operators` names what stays on the processor. If that is more than a few values at the model's ends, all but
    those two figures have the status `uncalibrated`, because work that is moved off the NPU must not make a model look
    fast; if it is everything, or the model cannot be compiled, they are `unknown`. A profile without `vela` has none.
    """

    name = "vela"
    metrics = (
        "latency_ms",
        "npu_cycles",
        "npu_sram_bytes",
        "npu_flash_bytes",
        "npu_macs",
        "npu_bottleneck",
        "cpu_operators",
        "cpu_operator_count",
    )

    def measure(self, model: bytes, profile: Profile | None, inside: RunInside) -> tuple[Measurement, ...]:
        """Compile the model for the profile's accelerator and give what the compiler reports."""
        if profile is None or profile.vela is None or profile.clock_hz is None:
            return ()
        found = self._compile(model, profile, inside)
        if isinstance(found, str):
            return tuple(self._figure(metric, UNKNOWN, profile, "uncalibrated", note=found) for metric in self.metrics)
        left = _names(found)
        placement = (
            self._figure("cpu_operators", left or "none", profile, "exact"),
            self._figure("cpu_operator_count", len(found.left), profile, "exact"),
        )
        if refusal := _nothing(found, profile):
            unknown = self.metrics[: -len(placement)]
            return (
                tuple(self._figure(each, UNKNOWN, profile, "uncalibrated", note=refusal) for each in unknown)
                + placement
            )
        note = _reservation(found, profile)
        timed: Status = "uncalibrated" if note else profile.status
        counted: Status = "uncalibrated" if note else "exact"
        note = note or (f"Without what stays on the processor: {left}." if left else "")
        latency = rounded(1_000_000_000 * found.cycles, profile.clock_hz) / 1_000_000
        bound = _BOUNDS[_bound(found.steps)]
        return (
            self._figure("latency_ms", latency, profile, timed, note=note, band=profile.vela.band),
            self._figure("npu_cycles", found.cycles, profile, timed, note=note, band=profile.vela.band),
            self._figure("npu_sram_bytes", found.sram_bytes, profile, counted, note=note),
            self._figure("npu_flash_bytes", found.flash_bytes, profile, counted, note=note),
            self._figure("npu_macs", found.macs, profile, counted, note=note),
            self._figure("npu_bottleneck", bound, profile, timed, note=note),
            *placement,
        )

    def breakdown(self, model: bytes, profile: Profile | None, inside: RunInside) -> Breakdown | None:
        """Give what each operator takes on the NPU and what bounds it there; None on a profile without `vela`.

        An operator that stays on the processor is there too, without cycles and not calibrated.
        """
        if profile is None or profile.vela is None or profile.clock_hz is None:
            return None
        found = self._compile(model, profile, inside)
        refusal = found if isinstance(found, str) else _nothing(found, profile)
        empty = Breakdown(
            profile=profile.name, engine=self.name, parts=(), nanoseconds=0, status="uncalibrated", refusal=refusal
        )
        if isinstance(found, str) or refusal:
            return empty
        note, clock_hz = _reservation(found, profile), profile.clock_hz
        total = sum(step.cycles for step in found.steps)
        return msgspec.structs.replace(
            empty,
            parts=tuple(_part(step, total, clock_hz) for step in found.steps),
            nanoseconds=rounded(1_000_000_000 * found.cycles, clock_hz),
            cycles=found.cycles,
            band=profile.vela.band,
            status="uncalibrated" if note else profile.status,
            note=note,
            unsupported=tuple(sorted({clean(each.operator) for each in found.left})),
        )

    def _compile(self, model: bytes, profile: Profile, inside: RunInside) -> Compiled | str:
        """Give what the compiler says, or the sentence that says why it says nothing.

        Raises `UnreadableWork` for a file that is no model and `ToolError` for another release of the compiler.
        """
        stated = profile.vela
        assert stated is not None  # noqa: S101 - the callers looked
        words = (stated.accelerator, stated.system_config, stated.memory_mode)
        try:
            printed = ask(inside, "vela", _READER, model, *words, files={SYSTEMS_FILE: vela_systems()})
        except UnreadableWork as error:  # it crashed or took too long: other engines may well read this model
            return f"{error.what} It has no figures on {profile.name}."
        found: Compiled | CannotRun = decode(printed, Compiled | CannotRun, _READER)
        if isinstance(found, CannotRun):
            return f"Vela cannot compile this model for {profile.name}: {clean(found.reason, 400)}."
        if found.version != profile.runtime_version:
            raise ToolError(
                f"{profile.name} needs ethos-u-vela {profile.runtime_version}; {clean(found.version)} is installed.",
                fix="pip install 'coursekit[vela]'",
            )
        return found

    def _figure(
        self, metric: str, value: float | str, profile: Profile, status: Status, *, note: str = "", band: float = 0.0
    ) -> Measurement:
        return Measurement(
            metric=metric,
            value=value,
            unit=_UNITS.get(metric, "") if value != UNKNOWN else "",
            engine=self.name,
            profile=profile.name,
            band=band,
            status=status,
            note=note,
        )


_UNITS = {"latency_ms": "ms", "npu_cycles": "cycles", "npu_macs": "MACs", "cpu_operator_count": "operators"}
_UNITS |= {"npu_sram_bytes": "bytes", "npu_flash_bytes": "bytes"}


def _nothing(found: Compiled, profile: Profile) -> str:
    """Say that the NPU has nothing to do; empty if it has."""
    if found.cycles:
        return ""
    left = f"all of it stays on the processor ({_names(found)})" if found.left else "it computes nothing"
    return f"Your model has no figures on {profile.name}: {left}. An Ethos-U runs int8 and int16 models."


def _reservation(found: Compiled, profile: Profile) -> str:
    """Say why the figures of the NPU are not those of the model; empty if they are."""
    operators = {each.operator for each in found.left}
    if not operators <= _NO_WORK or sum(each.values for each in found.left) > _FEW:
        left = _names(found)
        fix = " Convert it with int8 inputs and outputs." if operators <= {"QUANTIZE", "DEQUANTIZE"} else ""
        return f"Not graded on {profile.name}: Vela leaves {left} to the processor and does not say what it takes.{fix}"
    if found.stated_macs is not None and found.macs < found.stated_macs:
        return (
            f"Not graded on {profile.name}: of the {found.stated_macs:,} multiply-accumulates in the file Vela "
            f"compiled {found.macs:,}."
        )
    return ""


def _names(found: Compiled) -> str:
    """Name what is left on the processor, each kind once and with its number, in order of first appearance."""
    counted = Counter(clean(each.operator) for each in found.left)
    return clean(", ".join(f"{name} x{count}" if count > 1 else name for name, count in counted.items()), 400)


def _bound(steps: tuple[NpuStep, ...]) -> str:
    """Say what most of the cycles are spent on."""
    return max(_BOUNDS, key=lambda each: sum(getattr(step, each) for step in steps))


def _part(step: NpuStep, total: int, clock_hz: int) -> Part:
    """Give one operator's share; a step without cycles is either the processor's or folded into another."""
    waits = _BOUNDS[_bound((step,))] if step.cycles else ""
    return Part(
        operator=clean(step.operator),
        name=clean(step.name),
        nanoseconds=rounded(1_000_000_000 * step.cycles, clock_hz),
        per_mille=rounded(1000 * step.cycles, total),
        cycles=step.cycles,
        bound="processor, not priced" if step.cpu else waits,
        calibrated=not step.cpu,
        work={"npu_macs": step.macs, **{f"{name}_cycles": getattr(step, name) for name in _BOUNDS}},
    )
