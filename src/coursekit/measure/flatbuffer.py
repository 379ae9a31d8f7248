"""The engine `flatbuffer`: what stands in the model file, counted without a board.

Sources: the LiteRT schema (`ai_edge_litert.schema_py_generated`) says what the tables mean; which operators count as
multiply-accumulates, and that they are counted dense, is this project's definition and stands in `inside/counting.py`.
"""

from __future__ import annotations

from coursekit.measure.asking import ask, clean, decode
from coursekit.measure.documents import Anatomy
from coursekit.profiles import Profile
from coursekit.records import Measurement, RunInside

_READER = "the reader of model files"


class Flatbuffer:
    """Counts bytes, weights, operators, multiply-accumulates and types; every figure is exact.

    Units: bytes, parameters, operators, MACs, channels, tensors; types are words. `macs` counts one inference of
    one input, dense. `flash_free_bytes`, only on a board with flash, is that flash less its reserve less the file, and
    below zero if the model does not fit. Raises `UnreadableWork` for a file that is no model.
    """

    name = "flatbuffer"
    metrics = (
        "file_bytes",
        "weight_bytes",
        "parameters",
        "operators",
        "macs",
        "zero_channels",
        "dtypes",
        "io_dtypes",
        "float_tensors",
        "custom_operators",
        "flash_free_bytes",
    )

    def measure(self, model: bytes, profile: Profile | None, inside: RunInside) -> tuple[Measurement, ...]:
        """Give every figure of the file, and with a profile the flash that is left."""
        found: Anatomy = decode(ask(inside, "flatbuffer", _READER, model), Anatomy, _READER)
        macs: int | str = "unknown" if found.macs is None else found.macs
        figures = [
            self._figure("file_bytes", len(model), "bytes"),
            self._figure("weight_bytes", found.weight_bytes, "bytes"),
            self._figure("parameters", found.parameters, "parameters"),
            self._figure("operators", found.operators, "operators"),
            self._figure("macs", macs, "MACs", note=_macs_note(found)),
            self._figure("zero_channels", found.zero_channels, "channels"),
            self._figure("dtypes", _words(found.dtypes), ""),
            self._figure("io_dtypes", f"{_words(found.inputs)} -> {_words(found.outputs)}", ""),
            self._figure("float_tensors", found.float_tensors, "tensors"),
            self._figure("custom_operators", _words(found.custom_operators), ""),
        ]
        if profile and profile.flash_bytes and profile.reserve:
            free = profile.flash_bytes - profile.reserve.flash_bytes - len(model)
            figures.append(self._figure("flash_free_bytes", free, "bytes", profile=profile.name))
        return tuple(figures)

    def _figure(
        self, metric: str, value: int | str, unit: str, *, note: str = "", profile: str | None = None
    ) -> Measurement:
        return Measurement(metric=metric, value=value, unit=unit, engine=self.name, profile=profile, note=note)


def _macs_note(found: Anatomy) -> str:
    notes = [clean(found.macs_note, 400)]
    if found.custom_operators and found.macs is not None:
        notes.append(f"Without those of custom operators: {_words(found.custom_operators)}.")
    return " ".join(note for note in notes if note)


def _words(names: tuple[str, ...]) -> str:
    return clean(", ".join(names))
