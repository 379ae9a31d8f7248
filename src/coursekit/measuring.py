"""Measuring a model file: every figure that the engines have for it, on named boards, alone or beside another's."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coursekit import measure as engines
from coursekit import profiles, sandbox
from coursekit.errors import MachineError, MissingWork, SpecError, ToolError, UnreadableWork
from coursekit.measure.ratios import RATIOS, ratio
from coursekit.profiles import Profile
from coursekit.records import Breakdown, Finished, Limits, Measurement, Record, RunInside, SandboxName
from coursekit.report.chart import Subject

if TYPE_CHECKING:
    from coursekit.measure.accuracy import Samples

_LIMITS = Limits(memory_bytes=2_000_000_000, output_bytes=64_000_000)
_MOST_BYTES = 1_000_000_000


class Measured(Record, frozen=True, kw_only=True):
    """Everything that is known about one model file, and about the one that it is held against."""

    model: str
    """The file, as it was named."""
    profiles: tuple[str, ...] = ()
    measurements: tuple[Measurement, ...]
    breakdowns: tuple[Breakdown, ...] = ()
    """One for each profile whose latency can be said operator by operator."""
    reference: str = ""
    """The file of the other model; empty if there is none."""
    reference_measurements: tuple[Measurement, ...] = ()
    comparisons: tuple[Measurement, ...] = ()
    """The model's figures by the reference's, and what it lost in accuracy."""


def measure(
    file: Path,
    names: Sequence[str] = (),
    *,
    against: Path | None = None,
    data: Path | None = None,
    folders: Sequence[Path] = (),
    box: SandboxName = "bwrap",
) -> Measured:
    """Give the figures of one model file on each of these profiles.

    With `against`, the same of another file and what the two have to each other; with `data`, an .npz file of inputs
    `x` and labels `y`, the accuracy too. Raises MissingWork if there is no file, UnreadableWork if it is not what it
    should be, SpecError for an unknown profile or one that is named twice.
    """
    boards = _boards(names, folders)
    model, reference = read(file), read(against) if against else b""
    samples = _samples(data) if data else None
    inside = sandbox.runner(box, _LIMITS)
    asked = _remembering(inside)
    found = _figures(model, boards, asked, inside, samples)
    beside: tuple[Measurement, ...] = ()
    compared: tuple[Measurement, ...] = ()
    if against:
        try:
            beside = _figures(reference, boards, asked, inside, samples)
        except UnreadableWork as error:
            raise UnreadableWork(error.what, where=str(against), fix=error.fix) from error
        timed = [_timed(model, reference, board, inside) for board in boards]
        compared = tuple(_comparisons(found, beside, [each for each in timed if each], against.name))
    return Measured(
        model=str(file),
        profiles=tuple(names),
        measurements=found,
        breakdowns=tuple(_breakdowns(model, boards, asked)),
        reference=str(against) if against else "",
        reference_measurements=beside,
        comparisons=compared,
    )


def read(file: Path) -> bytes:
    """The bytes of a file that somebody named."""
    try:
        about = file.stat()
        if not stat.S_ISREG(about.st_mode):
            raise UnreadableWork("it is not an ordinary file.", where=str(file))
        if about.st_size > _MOST_BYTES:
            raise UnreadableWork(f"it has {about.st_size:,} bytes; {_MOST_BYTES:,} are the most.", where=str(file))
        return file.read_bytes()
    except FileNotFoundError:
        raise MissingWork("there is no such file.", where=str(file)) from None
    except OSError as error:
        raise UnreadableWork(f"it cannot be read: {error.strerror}.", where=str(file)) from error


def document(found: Measured) -> dict[str, object]:
    """Give the fields of the document that --json prints."""
    return {field: getattr(found, field) for field in Measured.__struct_fields__}


def draw(found: Measured, *, chart: Path | None = None, bars: Path | None = None) -> list[Path]:
    """Write the pictures that are asked for, over older ones, and give their files."""
    from coursekit.report import breakdown  # noqa: PLC0415 - templates stay out where nothing is drawn
    from coursekit.report import chart as charts  # noqa: PLC0415

    pictures: list[tuple[Path, str]] = []
    if chart:
        pictures.append((chart, charts.chart(subjects(found))))
    if bars:
        pictures.append((bars, breakdown.bars(found.breakdowns, Path(found.model).name)))
    for file, text in pictures:
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            fix = "name a file in a folder that can be written."
            raise MachineError(f"it cannot be written: {error.strerror}.", where=str(file), fix=fix) from error
    return [file for file, _ in pictures]


def subjects(found: Measured) -> tuple[Subject, ...]:
    """Give the model, and the reference if there is one, as a chart shows them."""
    each = [(found.model, found.measurements), (found.reference, found.reference_measurements)]
    return tuple(_subject(Path(name).name, figures) for name, figures in each if name)


def _subject(name: str, figures: Sequence[Measurement]) -> Subject:
    accuracy = next((each for each in figures if each.metric == "accuracy"), None)
    size = next(each.value for each in figures if each.metric == "file_bytes")
    return Subject(
        name=name,
        file_bytes=int(size),
        accuracy=accuracy if accuracy and not isinstance(accuracy.value, str) else None,
        latencies=tuple(each for each in figures if each.metric == "latency_ms"),
    )


def _boards(names: Sequence[str], folders: Sequence[Path]) -> list[Profile]:
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise SpecError(f"the profile '{twice}' is named twice.", fix="name it once.")
    return [profiles.load(name, folders) for name in names]


def _samples(data: Path) -> Samples:
    from coursekit.measure import accuracy  # noqa: PLC0415 - numpy stays out where there is no data

    return accuracy.read(read(data), str(data))


def _remembering(inside: RunInside) -> RunInside:
    """A box in which each question is asked once: what a program answers hangs on the model and the words alone."""
    known: dict[tuple[object, ...], Finished] = {}

    def ask(words: Sequence[str], files: Mapping[str, bytes]) -> Finished:
        given = tuple((name, hashlib.sha256(data).digest()) for name, data in sorted(files.items()))
        if (*words, given) not in known:
            known[*words, given] = inside(words, files)
        return known[*words, given]

    return ask


def _figures(
    model: bytes, boards: Sequence[Profile], asked: RunInside, inside: RunInside, samples: Samples | None
) -> tuple[Measurement, ...]:
    """Give every figure once: what does not depend on the board first, then board by board."""
    found: dict[tuple[str, str | None], Measurement] = {}
    if samples is not None:
        from coursekit.measure import accuracy  # noqa: PLC0415 - numpy stays out where there is no data

        found["accuracy", None] = accuracy.accuracy(model, samples, inside)
    for board in boards or (None,):
        for each in engines.measure(model, board, asked):
            found.setdefault((each.metric, each.profile), each)
    order = {board.name: number for number, board in enumerate(boards)}
    return tuple(sorted(found.values(), key=lambda each: order.get(each.profile or "", -1)))


def _breakdowns(model: bytes, boards: Sequence[Profile], asked: RunInside) -> Iterator[Breakdown]:
    for board in boards:
        try:
            found = engines.breakdown(model, board, asked)
        except ToolError as error:
            engine = board.engines.get("latency_ms", "")
            refusal = f"{error} {error.fix}".strip()
            found = Breakdown(profile=board.name, engine=engine, parts=(), nanoseconds=0, refusal=refusal)
        if found:
            yield found


def _timed(model: bytes, reference: bytes, board: Profile, inside: RunInside) -> Measurement | None:
    """Give the timed ratio, or why this machine cannot time one now; None where nothing is timed."""
    try:
        return engines.compare(model, reference, board, inside)
    except MachineError as error:
        engine = board.engines.get("latency_ratio", "")
        note = f"{error} {error.fix}".strip()
        return Measurement(
            metric="latency_ratio", value=engines.UNKNOWN, unit="", engine=engine, profile=board.name, note=note
        )


def _comparisons(
    found: Sequence[Measurement], beside: Sequence[Measurement], timed: Sequence[Measurement], name: str
) -> Iterator[Measurement]:
    """Give the ratios in the order of the figures, a timed one in place of one of two latencies."""
    theirs = {(each.metric, each.profile): each for each in beside}
    clocked = {each.profile for each in timed}
    for each in found:
        other = theirs.get((each.metric, each.profile))
        if other is None:
            continue
        if each.metric == "accuracy":
            from coursekit.measure.accuracy import drop  # noqa: PLC0415 - numpy stays out where there is no data

            yield drop(float(each.value), float(other.value), name)
        elif each.metric in RATIOS and not (each.metric == "latency_ms" and each.profile in clocked):
            yield ratio(each, other, name)
    yield from timed
