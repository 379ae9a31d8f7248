"""Damaged models in a real box: an answer or one sentence from every program, never a traceback and never a hang."""

from __future__ import annotations

from collections import Counter

import pytest

import crowd
import models
import odd_models
from coursekit import measure, profiles, sandbox
from coursekit.errors import UnreadableWork
from coursekit.examination.asking import Bench
from coursekit.records import Finished, Limits, Measurement
from mutants import KINDS, mutants

pytestmark = pytest.mark.box

BOARD = profiles.load("nucleo-l4r5zi")
ENGINES = measure.engines()
COUNT = 525
PROGRAMS = ("cycles", "flatbuffer", "litert", "tflm")
CRASHES = {"SIGILL", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV"}
"""The signals that `asking` makes a sentence of."""

WHOLES = [
    models.dense(4, 3),
    models.convolution(8, 4),
    models.dense_float(),
    models.added(),
    models.tiled(),
    models.custom(),
    odd_models.two_signatures(),
    odd_models.branching(),
    odd_models.four_bits(),
    odd_models.densified(),
]


@pytest.fixture(scope="module")
def damaged() -> list[bytes]:
    return list(mutants(WHOLES, COUNT, seed=20))


@pytest.fixture(scope="module")
def endings(damaged: list[bytes]) -> crowd.Endings:
    return crowd.endings(damaged)


def said(engine: str, model: bytes, known: crowd.Endings) -> str | tuple[Measurement, ...]:
    """Give an engine's figures or its sentence; whatever else it raises is the failure of a test."""
    try:
        return ENGINES[engine].measure(model, BOARD, crowd.answering(known))
    except UnreadableWork as error:
        return error.what


def test_there_are_five_hundred_mutants_of_every_kind(damaged: list[bytes]):
    assert len(KINDS) == 7
    assert len(set(damaged)) > 500
    assert sum(model[4:8] == b"TFL3" for model in damaged) == COUNT


def test_no_program_ends_with_a_traceback(endings: crowd.Endings):
    failed = {program: ended.stderr[-300:] for (_, program), ended in endings.items() if ended.returncode > 0}
    assert failed == {}


def test_no_program_hangs(endings: crowd.Endings):
    assert [program for (_, program), ended in endings.items() if ended.stopped] == []


@pytest.mark.parametrize("engine", PROGRAMS)
def test_every_mutant_gets_figures_or_one_sentence(engine: str, damaged: list[bytes], endings: crowd.Endings):
    found = Counter()
    for model in damaged:
        answer = said(engine, model, endings)
        if isinstance(answer, str):
            assert answer.endswith(".")
            assert answer.isprintable()
            assert len(answer) < 600
            crash = answer.rpartition("(")[2].removesuffix(").") if "crash" in answer else ""
            assert not crash or crash in CRASHES
            found["crash" if crash else "sentence"] += 1
        else:
            assert all(figure.note for figure in answer if figure.value == "unknown")
            counts = [figure.value for figure in answer if not figure.metric.endswith("_free_bytes")]
            assert all(isinstance(value, str) or value >= 0 for value in counts)
            found["figures"] += 1
    assert found["crash"] <= COUNT // 100  # LiteRT and TensorFlow Lite Micro do break on some of them
    assert min(found["sentence"], found["figures"]) > COUNT // 10


@pytest.mark.parametrize("number", range(20))
def test_the_whole_way_through_boxes_ends_in_figures_or_a_sentence(number: int, damaged: list[bytes]):
    inside = sandbox.runner("bwrap", Limits(memory_bytes=1_000_000_000))
    model = damaged[number * 7 + number % 7]
    try:
        figures, sentence = measure.measure(model, BOARD, inside), ""
    except UnreadableWork as error:
        figures, sentence = (), error.what
    metrics = {figure.metric for figure in figures}
    assert sentence.endswith(".") or metrics >= {"file_bytes", "macs", "latency_ms", "arena_bytes", "litert_runs"}


def test_a_model_that_never_ends_is_stopped_with_a_sentence():
    inside = sandbox.runner("bwrap", Limits(memory_bytes=1_000_000_000), seconds=2)
    with pytest.raises(UnreadableWork) as caught:
        measure.measure(odd_models.looping(forever=True), None, inside, ["litert_runs"])
    assert caught.value.what == "Your model was too much for LiteRT and was stopped: the time limit."


def test_grading_waits_once_for_a_program_that_a_model_stops():
    asked: list[str] = []

    def inside(words, files):
        asked.append(words[0].rpartition(".")[2])
        return Finished(returncode=-9, stdout=b"", stderr=b"", stopped="the time limit")

    bench = Bench(inside, ())
    for metric in ("macs", "file_bytes", "litert_runs", "macs", "arena_bytes", "tflm_runs"):
        with pytest.raises(UnreadableWork, match="was stopped: the time limit"):
            bench.figure(models.dense(), metric, None)
    assert asked == ["flatbuffer", "litert", "tflm"]


def test_a_file_that_the_box_has_no_room_for_is_refused_with_a_sentence():
    inside = sandbox.runner("bwrap", Limits(disk_bytes=1_000_000))
    with pytest.raises(UnreadableWork) as caught:
        measure.measure(models.dense() + bytes(1_000_000), None, inside, ["file_bytes"])
    assert caught.value.what == (
        "Your model was too much for the reader of model files and was stopped: the limit of 1,000,000 bytes of files."
    )


@pytest.fixture(scope="module")
def large() -> bytes:
    return odd_models.large(200_000_000)


def test_two_hundred_megabytes_are_measured_like_any_other_model(large: bytes):
    found: list[int] = []
    box = sandbox.runner("bwrap", Limits(memory_bytes=1_000_000_000))

    def inside(words, files):
        ended = box(words, files)
        found.append(ended.peak_memory_bytes)
        return ended

    figures = {figure.metric: figure for figure in measure.measure(large, BOARD, inside, ["macs"])}
    assert figures["macs"].value == 200_000_000
    assert max(found) < 3 * len(large)


def test_two_hundred_megabytes_of_junk_get_a_sentence():
    inside = sandbox.runner("bwrap", Limits(memory_bytes=1_000_000_000))
    with pytest.raises(UnreadableWork, match="Your model has more than 100,000 operator codes"):
        measure.measure(models.dense()[:200] + b"\x5a" * 200_000_000, BOARD, inside)
