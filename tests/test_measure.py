"""Engines: figures that are known by hand, and one sentence for whatever is not a model.

Programs that open a model run here as they do in a box, in a process and a folder of their own, but without its walls.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

import models
import odd_models
from coursekit import measure, profiles
from coursekit.errors import GraderError, SpecError, ToolError, UnreadableWork
from coursekit.measure.documents import MODEL_FILE
from coursekit.measure.inside import counting, parity
from coursekit.measure.inside.flatbuffer import anatomy
from coursekit.measure.inside.graph import read
from coursekit.records import Finished, Measurement

pytestmark = pytest.mark.box

NANO = profiles.load("nano33-ble-sense")


def inside(arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
    """Run a module in a fresh folder, as a box does."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-I", "-m", *arguments], cwd=folder, capture_output=True, timeout=60, check=False
        )
    return Finished(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


def answering(**fields: object) -> Callable[[Sequence[str], Mapping[str, bytes]], Finished]:
    """Give a box in which every program ends like this."""
    finished = Finished(**{"returncode": 0, "stdout": b"", "stderr": b"", **fields})
    return lambda arguments, files: finished


def by_metric(figures: tuple[Measurement, ...]) -> dict[str, Measurement]:
    return {figure.metric: figure for figure in figures}


@pytest.fixture(scope="module")
def dense() -> dict[str, Measurement]:
    return by_metric(measure.measure(models.dense(4, 3), NANO, inside))


# --- What stands in the file -----------------------------------------------------------------------------------------


def test_a_dense_layer_is_counted_as_by_hand(dense: dict[str, Measurement]):
    values = {metric: figure.value for metric, figure in dense.items() if figure.engine == "flatbuffer"}
    assert values == {
        "file_bytes": len(models.dense(4, 3)),
        "weight_bytes": 12 + 3 * 4,
        "parameters": 12 + 3,
        "operators": 1,
        "macs": 12,
        "zero_channels": 0,
        "dtypes": "int32, int8",
        "io_dtypes": "int8 -> int8",
        "float_tensors": 0,
        "custom_operators": "",
        "flash_free_bytes": 2**20 - 2**18 - len(models.dense(4, 3)),
    }


def test_figures_are_exact_and_name_their_unit_and_engine(dense: dict[str, Measurement]):
    assert dense["file_bytes"] == Measurement(
        metric="file_bytes", value=len(models.dense(4, 3)), unit="bytes", engine="flatbuffer"
    )
    assert {figure.status for figure in dense.values() if figure.engine != "cycles"} == {"exact"}
    assert all(figure.unit == "bytes" for metric, figure in dense.items() if metric.endswith("_bytes"))


def test_only_figures_that_depend_on_the_board_name_the_profile(dense: dict[str, Measurement]):
    on_board = {metric for metric, figure in dense.items() if figure.profile == "nano33-ble-sense"}
    assert on_board == {metric for metric, engine in NANO.engines.items() if engine in measure.engines()}


def test_a_convolution_counts_every_output_times_every_weight_of_a_channel():
    found = anatomy(models.convolution(8, 4))
    assert (found.macs, found.macs_note) == (8 * 8 * 4 * 9, "")


def test_understating_a_shape_does_not_lower_the_count():
    assert anatomy(models.convolution(8, 4, stated=(1, 1, 1, 4))).macs == 8 * 8 * 4 * 9


def test_a_channel_of_zeros_is_counted_as_dead_and_still_costs():
    found = anatomy(models.convolution(8, 4, dead=(1, 3)))
    assert (found.zero_channels, found.macs) == (2, 8 * 8 * 4 * 9)


@pytest.mark.parametrize(
    ("name", "shapes", "macs"),
    [
        ("DEPTHWISE_CONV_2D", [(1, 8, 8, 4), (1, 3, 3, 4), (1, 8, 8, 4)], 8 * 8 * 4 * 9),
        ("TRANSPOSE_CONV", [(4,), (2, 3, 3, 5), (1, 4, 4, 5), (1, 8, 8, 2)], 4 * 4 * 5 * 2 * 9),
        ("BATCH_MATMUL", [(2, 3, 4), (2, 4, 5), (2, 3, 5)], 2 * 3 * 5 * 4),
        ("FULLY_CONNECTED", [(7, 4), (3, 4), (7, 3)], 7 * 4 * 3),
        ("ADD", [(1, 4), (1, 4), (1, 4)], 0),
    ],
)
def test_each_kind_of_layer_is_counted_by_its_own_rule(name: str, shapes: list[tuple[int, ...]], macs: int):
    tensors = [models.Tensor(name=str(number), shape=shape) for number, shape in enumerate(shapes)]
    last = len(shapes) - 1
    operator = models.Operator(name=name, inputs=tuple(range(last)), outputs=(last,))
    graph = read(models.build(tensors, [operator]))
    assert counting.macs(graph, counting.declared_shapes(graph)) == macs


def test_multiplications_that_cannot_be_counted_are_unknown_and_not_zero():
    tensors = [models.Tensor(name="x", shape=(1, 4), dtype="FLOAT32"), models.Tensor(name="y", shape=(1, 4))]
    model = models.build(tensors, [models.Operator(name="SVDF", inputs=(0,), outputs=(1,))])
    figure = by_metric(measure.measure(model, None, inside))["macs"]
    assert (figure.value, figure.note) == ("unknown", "The multiply-accumulates of SVDF cannot be counted.")
    with pytest.raises(UnreadableWork, match="of SVDF cannot be counted"):
        measure.measure(model, None, inside, ["macs"])


@pytest.mark.parametrize(
    ("dtype", "data"), [("INT4", [0x11, 0x00, 0x10]), ("FLOAT16", np.array([1, 0, 0, 0, 0, 1], "<f2"))]
)
def test_dead_channels_are_found_in_weights_of_other_types(dtype: str, data: object):
    stored = np.asarray(data, np.uint8) if dtype == "INT4" else np.asarray(data)
    tensors = [
        models.Tensor(name="x", shape=(1, 2)),
        models.Tensor(name="w", shape=(3, 2), dtype=dtype, data=stored),
        models.Tensor(name="y", shape=(1, 3)),
    ]
    graph = read(models.build(tensors, [models.Operator(name="FULLY_CONNECTED", inputs=(0, 1), outputs=(2,))]))
    assert counting.zero_channels(graph) == 1


def test_weights_without_their_bytes_are_refused():
    tensors = [
        models.Tensor(name="x", shape=(1, 2)),
        models.Tensor(name="w", shape=(1000, 2), dtype="FLOAT32", data=np.zeros(7, np.uint8)),
        models.Tensor(name="y", shape=(1, 1000)),
    ]
    graph = read(models.build(tensors, [models.Operator(name="FULLY_CONNECTED", inputs=(0, 1), outputs=(2,))]))
    with pytest.raises(UnreadableWork, match="the weights 'w' do not have their shape's size"):
        counting.zero_channels(graph)


def test_weights_that_share_a_buffer_are_counted_once():
    data = models.weights(3, 4)
    tensors = [models.Tensor(name="w", shape=(3, 4), scale=0.1, data=data)]
    tensors.append(models.Tensor(name="again", shape=(3, 4), scale=0.1, same_as=1))
    graph = read(models.build(tensors, []))
    assert (counting.weight_bytes(graph), counting.parameters(graph)) == (12, 12)


def test_the_shape_of_a_reshape_is_stored_and_is_no_parameter():
    shape = models.Tensor(name="shape", shape=(2,), dtype="INT32", data=np.array([1, 4], np.int32))
    graph = read(models.build([shape], []))
    assert (counting.weight_bytes(graph), counting.parameters(graph)) == (8, 0)


def test_a_float_model_is_told_from_a_quantized_one():
    found = anatomy(models.dense_float())
    assert (found.float_tensors, found.dtypes, found.inputs) == (3, ("float32",), ("float32",))


def test_custom_operators_are_named():
    found = anatomy(models.custom("FlexErf"))
    assert found.custom_operators == ("FlexErf",)
    assert (found.macs, found.macs_note) == (
        None,
        "The multiply-accumulates of custom operators cannot be counted: FlexErf.",
    )


# --- What the model answers ------------------------------------------------------------------------------------------


def test_an_int8_model_is_fed_and_read_in_real_numbers():
    x = np.random.default_rng(1).uniform(0, 2, (20, 4))
    expected = x @ (models.weights(3, 4) / 8).T + 1
    found = measure.predict(models.dense(4, 3), x, inside)
    assert (found.shape, found.dtype) == ((20, 3), np.float32)
    assert abs(found - expected).max() <= 0.125 + 0.05  # half a step of the output, and what rounding x adds


def test_a_float_model_answers_to_the_bit_and_one_row_at_a_time():
    x = np.random.default_rng(2).normal(size=(5, 4)).astype(np.float32)
    found = measure.predict(models.dense_float(4, 3), x, inside)
    np.testing.assert_allclose(found, x @ models.weights(3, 4).T.astype(np.float32), rtol=1e-6)
    np.testing.assert_array_equal(measure.predict(models.dense_float(4, 3), x[3:4], inside), found[3:4])


def test_another_input_shape_is_named_with_what_is_fed():
    with pytest.raises(UnreadableWork) as caught:
        measure.predict(models.convolution(28), np.zeros((2, 8, 8, 1)), inside)
    assert caught.value.what == "Your model takes inputs of shape 28x28x1; it was fed 8x8x1."


def test_operators_that_litert_does_not_have_are_named_with_the_remedy():
    with pytest.raises(UnreadableWork, match=r"operators that LiteRT does not have: FlexErf\.") as caught:
        measure.predict(models.custom("FlexErf"), np.zeros((1, 4)), inside)
    assert "TFLITE_BUILTINS" in caught.value.fix


def test_a_model_with_two_inputs_is_refused():
    with pytest.raises(UnreadableWork, match="has 2 inputs and 1 outputs; it must have one of each"):
        measure.predict(models.added(), np.zeros((1, 4)), inside)


@pytest.mark.parametrize("x", [[7321, 1, 1, 1], [1, -7321, 1, 1], [7321, 7321, 7321, 7321], [1, 7321, 0, 1]])
def test_a_model_cannot_tell_its_inputs_by_the_shape_or_the_failure_of_its_output(x: list[float]):
    with pytest.raises(UnreadableWork) as caught:
        measure.predict(odd_models.shaped_by_value(), np.array([x], np.float32), inside)
    assert "7321" not in caught.value.what


def test_a_model_whose_output_has_another_shape_for_each_input_is_refused():
    rows = np.array([[1, 2, 1, 1], [1, 3, 1, 1]], np.float32)
    with pytest.raises(UnreadableWork, match="changes its shape from input to input"):
        measure.predict(odd_models.shaped_by_value(), rows, inside)


@pytest.mark.parametrize("x", [np.zeros((0, 4)), np.array(3.0), np.array(["a"])])
def test_data_that_is_no_rows_of_numbers_is_the_graders_fault(x: np.ndarray):
    with pytest.raises(GraderError, match="it needs numbers, in rows"):
        measure.predict(models.dense(), x, inside)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1000000000000)}", b""),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3)}", bytes(12)),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", bytes(8)),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", bytes(8)),
        ("__import__('os')", b""),
    ],
)
def test_an_array_from_the_box_is_believed_only_as_far_as_its_bytes_go(header: str, data: bytes):
    printed = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n" + data
    with pytest.raises(ToolError, match="LiteRT gave"):
        measure.predict(models.dense(), np.zeros((2, 4)), answering(stdout=printed))


# --- Memory ----------------------------------------------------------------------------------------------------------


def test_the_arena_is_its_head_and_its_tail_and_leaves_the_rest_free(dense: dict[str, Measurement]):
    total = dense["arena_bytes"].value
    assert dense["tflm_runs"].value == "yes"
    assert total == dense["arena_head_bytes"].value + dense["arena_tail_bytes"].value
    assert dense["ram_free_bytes"].value == 2**18 - 2**16 - total


def test_a_larger_image_takes_as_much_more_head_as_it_has_bytes():
    small, large = (
        by_metric(measure.measure(models.convolution(size, 4), None, inside, ["arena_head_bytes", "arena_tail_bytes"]))
        for size in (8, 16)
    )
    grown = large["arena_head_bytes"].value - small["arena_head_bytes"].value
    assert grown == (16 * 16 - 8 * 8) * (1 + 4)
    assert large["arena_tail_bytes"] == small["arena_tail_bytes"]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (models.tiled(), "it has no TILE."),
        (models.custom("FlexErf"), "it has no FlexErf."),
        (
            models.convolution(8, 4, stated=(1, 1, 1, 4)),
            "the file states for 'y' the shape 1x1x1x4, and running it gives 1x8x8x4.",
        ),
    ],
)
def test_a_model_that_does_not_run_there_has_no_arena_and_says_why(model: bytes, why: str):
    sentence = f"TensorFlow Lite Micro cannot run this model: {why}"
    (runs,) = measure.measure(model, None, inside, ["tflm_runs"])
    assert (runs.value, runs.note) == ("no", sentence)
    with pytest.raises(UnreadableWork) as caught:
        measure.measure(model, None, inside, ["file_bytes", "arena_bytes"])
    assert caught.value.what == sentence


def test_a_missing_wheel_is_named_with_the_extra_that_brings_it():
    box = answering(stdout=b'{"type":"missing","package":"tflite-micro","extra":"tflm"}')
    with pytest.raises(ToolError, match="tflite-micro is not installed") as caught:
        measure.measure(models.dense(), None, box, ["arena_bytes"])
    assert "coursekit[tflm]" in caught.value.fix


def test_without_the_wheel_the_other_figures_are_still_given():
    def box(arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
        if arguments[0].endswith(".tflm"):
            return Finished(
                returncode=0, stdout=b'{"type":"missing","package":"tflite-micro","extra":"tflm"}', stderr=b""
            )
        return inside(arguments, files)

    found = by_metric(measure.measure(models.dense(), None, box))
    assert found["macs"].value == 12
    assert found["arena_bytes"].value == "unknown"
    assert "coursekit[tflm]" in found["arena_bytes"].note


def test_a_board_with_another_runtime_has_no_arena():
    other = msgspec.structs.replace(NANO, name="other", engines={"flash_free_bytes": "flatbuffer"})
    assert "arena_bytes" not in by_metric(measure.measure(models.dense(), other, inside))
    with pytest.raises(SpecError, match="profile 'other' has no arena_bytes"):
        measure.measure(models.dense(), other, inside, ["arena_bytes"])


def test_a_model_that_both_runtimes_compute_alike_has_no_difference(dense: dict[str, Measurement]):
    assert (dense["parity_lsb"].value, dense["parity_lsb"].unit, dense["parity_lsb"].note) == (0, "LSB", "")


def test_the_largest_difference_of_any_output_is_given():
    found = by_metric(measure.measure(odd_models.summed_constant(), None, inside))["parity_lsb"]
    assert (found.value, found.note) == (128, "")


def test_floats_that_are_quantized_numbers_in_other_units_count_by_their_steps():
    found = by_metric(measure.measure(models.dequantized(), None, inside))["parity_lsb"]
    assert (found.value, found.note) == (0, "")


def test_other_floats_are_not_compared_to_the_last_bit():
    found = by_metric(measure.measure(models.dense_float(), None, inside))["parity_lsb"]
    assert found.value == "unknown"
    assert found.note == "Only whole numbers are compared to the last bit, and an output is float32."


def test_a_model_that_does_not_run_has_no_parity():
    found = by_metric(measure.measure(models.tiled(), None, inside))["parity_lsb"]
    assert (found.value, found.note) == ("unknown", "TensorFlow Lite Micro cannot run this model: it has no TILE.")


@pytest.mark.parametrize(
    ("dtype", "least", "most"),
    [(np.int8, -128, 127), (np.uint8, 0, 255), (np.int16, -32768, 32767), (np.float32, -1, 1), (np.int32, 0, 1)],
)
def test_parity_is_found_on_inputs_spread_over_the_whole_range(dtype: type, least: int, most: int):
    drawn = [parity.values((1, 1000), dtype, number, 0) for number in range(parity.RUNS)]
    assert {each.dtype for each in drawn} == {np.dtype(dtype)}
    assert (drawn[0].max(), drawn[1].min()) == (least, pytest.approx(most, abs=1e-4))
    assert drawn[2].min() < least + (most - least) * 0.02 + 0.5
    assert drawn[2].max() > most - (most - least) * 0.02 - 0.5
    assert drawn[2].tobytes() == parity.values((1, 1000), dtype, 2, 0).tobytes()
    assert drawn[2].tobytes() != drawn[3].tobytes()


def test_a_difference_is_counted_in_steps_whatever_the_type():
    low, high = np.array([-128, 5], np.int8), np.array([127, 5], np.int8)
    assert parity.steps(low, high) == 255
    assert parity.steps(np.array([2**63 - 1]), np.array([-(2**63)])) == 2**64 - 1
    assert parity.steps(np.array([0.5], np.float32), np.array([1.25], np.float32), 0.25) == 3
    assert parity.steps(np.zeros(0, np.int8), np.zeros(0, np.int8)) == 0
    with pytest.raises(ValueError, match="one gives int8 of shape"):
        parity.steps(low, np.zeros((1, 2), np.int8))


# --- Asking ----------------------------------------------------------------------------------------------------------


def test_the_installed_engines_are_found_by_name():
    assert {"flatbuffer", "litert", "tflm"} <= set(measure.engines())


def test_figures_come_in_the_order_they_are_asked_for():
    asked = ["output_shape", "macs", "input_shape"]
    found = measure.measure(models.dense(4, 3), None, inside, asked)
    assert [(figure.metric, figure.value) for figure in found] == [
        ("output_shape", "1x3"),
        ("macs", 12),
        ("input_shape", "1x4"),
    ]


def test_the_same_model_gives_the_same_document_byte_for_byte():
    first, second = (msgspec.json.encode(measure.measure(models.convolution(), NANO, inside)) for _ in range(2))
    assert first == second


def test_an_unknown_metric_is_named_with_its_near_match():
    with pytest.raises(SpecError, match="there is no metric called 'file_byte'") as caught:
        measure.measure(models.dense(), None, inside, ["file_byte"])
    assert caught.value.fix == "did you mean 'file_bytes'?"


def test_memory_left_on_a_board_needs_the_board():
    with pytest.raises(SpecError, match="flash_free_bytes needs a profile"):
        measure.measure(models.dense(), None, inside, ["flash_free_bytes"])


@pytest.mark.parametrize(
    ("ending", "error", "sentence"),
    [
        ({"returncode": -9, "stopped": "60 seconds"}, UnreadableWork, "was stopped: 60 seconds."),
        ({"returncode": -4}, ToolError, "LiteRT crashes on every model here (SIGILL)."),
        ({"returncode": 134}, ToolError, "LiteRT crashes on every model here (SIGABRT)."),
        (
            {"returncode": 1, "stderr": b"ImportError: no \x1b[31mnumpy"},
            ToolError,
            "status 1: ImportError: no [31mnumpy",
        ),
        ({"stdout": b"{"}, ToolError, "gave no answer that can be read"),
        ({"stdout": b"[" * 100_000}, ToolError, "gave no answer that can be read"),
        ({"stdout": b'{"type":"anatomy"}'}, ToolError, "gave no answer that can be read"),
        ({"stdout": b'{"type":"problem","what":"Bad\\u0000 file.\\n"}'}, UnreadableWork, "Bad file."),
    ],
)
def test_how_a_program_ends_says_whose_fault_it_is(ending: dict[str, object], error: type[Exception], sentence: str):
    with pytest.raises(error) as caught:
        measure.measure(models.dense(), None, answering(**ending), ["litert_runs"])
    assert sentence in str(caught.value)


@pytest.mark.parametrize(("code", "name"), [(-11, "SIGSEGV"), (134, "SIGABRT")])
def test_a_crash_on_one_model_and_not_on_a_good_one_is_that_model_s(code: int, name: str):
    def crashing(_: Sequence[str], files: Mapping[str, bytes]) -> Finished:
        code_ = code if files[MODEL_FILE] == models.dense() else 0
        return Finished(returncode=code_, stdout=b"", stderr=b"")

    with pytest.raises(UnreadableWork, match=rf"Your model makes LiteRT crash \({name}\)"):
        measure.measure(models.dense(), None, crashing, ["litert_runs"])


# --- What is not a model ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "Your model file is empty."),
        (b"PK\x03\x04 and more", "Your model is not a TensorFlow Lite file: it is a .keras or .zip file."),
        (b"\x89HDF\r\n\x1a\n", "Your model is not a TensorFlow Lite file: it is an HDF5 file."),
        (b"version https://git-lfs.github.com/spec/v1", "it is a pointer of Git LFS."),
        (b"a model", "Your model is not a TensorFlow Lite file."),
        (np.random.default_rng(3).bytes(5000), "Your model is not a TensorFlow Lite file."),
    ],
)
def test_another_kind_of_file_is_called_what_it_is(data: bytes, sentence: str):
    for ask in (
        lambda: measure.measure(data, NANO, inside),
        lambda: measure.predict(data, np.zeros((1, 4)), inside),
    ):
        with pytest.raises(UnreadableWork) as caught:
            ask()
        assert caught.value.what.endswith(sentence)


def mutants(count: int) -> list[bytes]:
    """Give models that were cut, filled with noise or had bits flipped, but still begin as models do."""
    rng = np.random.default_rng(4)
    changed: list[bytes] = []
    for number in range(count):
        data = bytearray(models.convolution(8, 4))
        if number % 4 == 0:
            data = data[: int(rng.integers(8, len(data)))]
        elif number % 4 == 1:
            data[8:] = rng.bytes(len(data) - 8)
        else:
            for place in rng.integers(8, len(data), 1 + number % 7):
                data[place] ^= 1 << int(rng.integers(8))
        changed.append(bytes(data))
    return changed


def said_of(data: bytes, engine: str) -> list[str]:
    """Give what a student reads about a model from one engine: why it is refused, or why figures are unknown."""
    try:
        figures = measure.engines()[engine].measure(data, NANO, inside)
    except UnreadableWork as error:
        return [error.what]
    return [figure.note for figure in figures if figure.value == "unknown"]


def test_reading_a_damaged_file_never_does_more_than_fail():
    failed = 0
    for data in mutants(400):
        try:
            graph = read(data)
            counting.macs(graph, counting.declared_shapes(graph))
            counting.zero_channels(graph)
            counting.parameters(graph)
        except UnreadableWork:
            failed += 1
    assert 150 < failed < 400


@pytest.mark.parametrize("engine", ["flatbuffer", "litert", "tflm"])
def test_a_damaged_file_gets_one_sentence_from_every_engine(engine: str):
    for data in mutants(16):
        sentences = said_of(data, engine)
        assert all(sentence.endswith(".") and sentence.isprintable() for sentence in sentences)


def test_absurd_shapes_are_refused_without_making_room_for_them():
    huge = 2**31 - 1
    shapes = [(huge, huge, huge, 1), (huge, 3, 3, 1), (huge, huge, huge, huge)]
    tensors = [models.Tensor(name=str(number), shape=shape) for number, shape in enumerate(shapes)]
    model = models.build(tensors, [models.Operator(name="CONV_2D", inputs=(0, 1), outputs=(2,))], inputs=(0, 1))
    graph = read(model)
    with pytest.raises(UnreadableWork, match="larger than any memory"):
        counting.macs(graph, counting.declared_shapes(graph))
    with pytest.raises(UnreadableWork, match="because LiteRT cannot run it"):
        measure.measure(model, None, inside, ["macs"])


def test_a_negative_size_is_refused():
    with pytest.raises(UnreadableWork, match="a tensor has a negative size"):
        read(models.build([models.Tensor(name="x", shape=(-1, 4))], []))


def test_a_small_file_cannot_state_any_number_of_tensors():
    tensors = [models.Tensor(name=str(number), shape=(1,)) for number in range(30)]
    model = models.build(tensors, [], copies=5000)
    assert len(model) < 30_000
    with pytest.raises(UnreadableWork, match="more than 100,000 tensors"):
        read(model)


def test_operators_that_name_what_is_not_there_are_refused():
    model = models.build(
        [models.Tensor(name="x", shape=(1, 4))], [models.Operator(name="CONV_2D", inputs=(0, 99), outputs=(0,))]
    )
    with pytest.raises(UnreadableWork, match="damaged"):
        anatomy(model)


def test_a_box_that_remembers_is_asked_the_same_question_once():
    asked = []

    def box(arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
        asked.append((tuple(arguments), dict(files)))
        return Finished(returncode=0, stdout=str(len(asked)).encode(), stderr=b"")

    remembering = measure.once(box)
    first = remembering(["a", "b"], {"model.tflite": b"1"})
    assert remembering(["a", "b"], {"model.tflite": b"1"}) == first
    for arguments, files in (
        (["a"], {"model.tflite": b"1"}),
        (["a", "b"], {"model.tflite": b"2"}),
        (["a", "b"], {"model.tflite": b"1", "x.npy": b""}),
    ):
        assert remembering(arguments, files) != first
    assert len(asked) == 4
