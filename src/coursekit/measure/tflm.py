"""The engine `tflm`: the memory that TensorFlow Lite Micro takes for a model, and whether it runs it as LiteRT does.

Source: the recording allocator of the `tflite-micro` wheel, which is the allocator that runs on a device. In the one
case with both figures published it told a device's arena to 0.16 % (1,665,776 bytes here, 1,668,468 on an Alif E8:
pytorch/executorch issue 17651). It runs the reference kernels with 64-bit pointers, so structures with pointers are a
little larger than on a 32-bit board, and scratch buffers that CMSIS-NN asks for are not in it. The smallest arena that
an application can pass is up to a few dozen bytes larger, for alignment.

Parity is found by running both on the same inputs (`inside/parity.py`), each with its reference kernels.
"""

from __future__ import annotations

from coursekit.measure import packages
from coursekit.measure.asking import UNKNOWN, ask, clean, decode
from coursekit.measure.documents import Arena, CannotRun
from coursekit.profiles import Profile
from coursekit.records import Measurement, RunInside

_READER = "TensorFlow Lite Micro"

_UNITS = dict.fromkeys(("arena_bytes", "arena_head_bytes", "arena_tail_bytes", "ram_free_bytes"), "bytes")
_UNITS |= {"tflm_runs": "", "parity_lsb": "LSB"}


class TFLM:
    """Gives the arena in bytes: its head holds activations and scratch, its tail what lives as long as the model.

    `ram_free_bytes`, only with a profile, is its memory less its reserve less the arena, and below zero if the model
    does not fit. `parity_lsb` is the most that an output differs from LiteRT's, over all outputs and a fixed set of
    inputs, in steps of the output's last bit: 0 if they are identical, `unknown` for outputs that are no whole numbers.
    Where `tflm_runs` is `no`, its note says why, and the figures are `unknown`. A profile whose runtime is another has
    none of these. Raises `ToolError` if the wheel is not installed.
    """

    name = "tflm"
    metrics = ("tflm_runs", "arena_bytes", "arena_head_bytes", "arena_tail_bytes", "ram_free_bytes", "parity_lsb")

    def measure(self, model: bytes, profile: Profile | None, inside: RunInside) -> tuple[Measurement, ...]:
        """Run the model, give what the allocator reports and how far the outputs are from LiteRT's."""
        if profile and self.name not in profile.engines.values():
            return ()
        packages.refuse_others("tflite-micro", "tflm")
        found: Arena | CannotRun = decode(ask(inside, "tflm", _READER, model), Arena | CannotRun, _READER)
        note = parity_note = ""
        values: list[int | str]
        if isinstance(found, CannotRun):
            note = parity_note = f"{_READER} cannot run this model: {clean(found.reason, 400)}."
            values = ["no", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]
        else:
            steps = UNKNOWN if found.parity is None else found.parity
            parity_note = clean(found.parity_note, 400)
            values = ["yes", found.total, found.head, found.tail, _room(profile) - found.total, steps]
        return tuple(
            Measurement(
                metric=metric,
                value=value,
                unit=_UNITS[metric],
                engine=self.name,
                profile=profile.name if profile else None,
                note=parity_note if metric == "parity_lsb" else note,
            )
            for metric, value in zip(self.metrics, values, strict=True)
            if metric != "ram_free_bytes" or _room(profile)
        )


def _room(profile: Profile | None) -> int:
    """Give the memory that a model can have; 0 without a board, or on one that states none."""
    if profile is None or profile.ram_bytes is None or profile.reserve is None:
        return 0
    return profile.ram_bytes - profile.reserve.ram_bytes
