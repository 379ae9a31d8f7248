"""The engine `edgetpu`: what Google's compiler maps, by its documentation, and what that takes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from coursekit import profiles
from coursekit.errors import UnreadableWork
from coursekit.measure import _asked_for
from coursekit.measure.documents import Load, Place, Places
from coursekit.measure.edgetpu import EdgeTPUEngine, mapping
from coursekit.measure.inside.edgetpu import places
from coursekit.records import Finished, Measurement

BOARD = profiles.load("coral-edge-tpu")
OPERATORS = frozenset(BOARD.edgetpu.operators)


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


models = _load("models")


def inside(arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
    """Run a module in a fresh folder, as a box does."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-I", "-m", *arguments], cwd=folder, capture_output=True, timeout=60, check=False
        )
    return Finished(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


def place(operator: str, *, obstacle: str = "", **changes: int) -> Place:
    stated = {"macs": 1000, "activation_bytes": 0, "weight_bytes": 0, **changes}
    return Place(load=Load(operator=operator, name="", dtype="int8", depthwise=False, **stated), obstacle=obstacle)


def measured(*found: Place, refusal: str = "", ends: int = 0) -> dict[str, Measurement]:
    said = msgspec.json.encode(Places(places=found, input_bytes=ends, output_bytes=0, refusal=refusal))
    figures = EdgeTPUEngine().measure(b"", BOARD, lambda *_: Finished(returncode=0, stdout=said, stderr=b""))
    return {each.metric: each for each in figures}


# --- What stands in the way ------------------------------------------------------------------------------------------


def test_a_quantized_layer_has_no_obstacle():
    (found,) = places(models.dense(4, 3)).places
    assert (found.load.operator, found.obstacle, found.load.weight_bytes) == ("FULLY_CONNECTED", "", 12 + 12)


def test_a_float_layer_has_one():
    (found,) = places(models.dense_float(4, 3)).places
    assert found.obstacle == "computes with float32"


def test_a_batch_of_images_has_more_dimensions_than_the_device_takes():
    names = ("x", "y", "sum")
    tensors = [models.Tensor(name=name, shape=(2, 4, 4, 3), scale=0.5) for name in names]
    added = models.Operator(name="ADD", inputs=(0, 1), outputs=(2,), options=schema.AddOptionsT())
    (found,) = places(models.build(tensors, [added], inputs=(0, 1))).places
    assert found.obstacle == "has a tensor with more than three dimensions larger than one"


def test_float_constants_are_an_obstacle():
    tensors = [
        models.Tensor(name="x", shape=(1, 4), dtype="FLOAT32"),
        models.Tensor(name="c", shape=(1, 4), dtype="FLOAT32", data=np.ones((1, 4), np.float32)),
        models.Tensor(name="y", shape=(1, 4), dtype="FLOAT32"),
    ]
    added = models.Operator(name="ADD", inputs=(1, 0), outputs=(2,), options=schema.AddOptionsT())
    (found,) = places(models.build(tensors, [added])).places
    assert found.obstacle == "has constants of float32"


def test_what_becomes_of_a_custom_operator_is_not_guessed():
    found = places(models.custom())
    assert found.places == ()
    assert found.refusal == "The work of custom operators cannot be counted: FlexErf."


# --- What is mapped --------------------------------------------------------------------------------------------------


def test_all_is_mapped_up_to_the_first_operator_that_is_not_and_nothing_after_it():
    found = mapping([place("CONV_2D"), place("GELU"), place("CONV_2D")], OPERATORS)
    assert [each.load.operator for each in found.mapped] == ["CONV_2D"]
    assert [each.load.operator for each in found.left] == ["GELU", "CONV_2D"]
    assert found.reason == "GELU and all operators after it stay on the CPU: the Edge TPU compiler does not map GELU."


def test_conversions_at_the_ends_stay_where_they_are_and_end_nothing():
    first, last = (place(name, obstacle="computes with float32") for name in ("QUANTIZE", "DEQUANTIZE"))
    found = mapping([first, place("CONV_2D"), place("SOFTMAX"), last], OPERATORS)
    assert (len(found.mapped), found.left, found.conversions, found.reason) == (2, (), (first, last), "")


def test_a_conversion_in_the_middle_ends_the_mapped_part():
    middle = place("DEQUANTIZE", obstacle="computes with float32")
    found = mapping([place("CONV_2D"), middle, place("CONV_2D")], OPERATORS)
    assert (len(found.mapped), len(found.left)) == (1, 2)


def test_a_requantization_is_an_operator_like_others():
    assert len(mapping([place("QUANTIZE"), place("CONV_2D")], OPERATORS).mapped) == 2


def test_a_model_of_nothing_but_conversions_maps_nothing():
    only = place("QUANTIZE", obstacle="computes with float32")
    assert mapping([only], OPERATORS).mapped == mapping([], OPERATORS).mapped == ()


# --- Figures ---------------------------------------------------------------------------------------------------------


def test_a_model_that_fits_says_so_with_the_cache_that_it_leaves():
    found = measured(place("CONV_2D", weight_bytes=1_000_000), place("SOFTMAX"))
    assert {name: each.value for name, each in found.items() if name != "latency_ms"} == {
        "tpu_operators": 2,
        "cpu_operators": "none",
        "tpu_cache_free_bytes": 7_388_608,
    }
    assert {each.status for each in found.values()} == {"datasheet"}
    assert found["latency_ms"].note.startswith("A roofline from data sheets, not a measurement. Indicative: ")


def test_weights_that_do_not_fit_are_sent_each_time_and_cost_what_the_link_takes():
    small, large = (measured(place("CONV_2D", weight_bytes=size)) for size in (8_388_608, 8_388_608 + 45_000_000))
    assert large["tpu_cache_free_bytes"].value == -45_000_000
    assert "45,000,000 bytes of weights do not fit" in large["tpu_cache_free_bytes"].note
    assert large["latency_ms"].value - small["latency_ms"].value == pytest.approx(100, rel=0.01)  # at 450 MB/s


def test_leaving_a_layer_on_the_cpu_makes_no_room_in_the_cache():
    found = measured(place("GELU"), place("CONV_2D", weight_bytes=9_000_000))
    assert (found["tpu_operators"].value, found["tpu_cache_free_bytes"].value) == (0, 8_388_608 - 9_000_000)


def test_inputs_and_outputs_cross_the_link():
    assert measured(place("CONV_2D"), ends=4_500_000)["latency_ms"].value == pytest.approx(11.01, abs=0.01)


def test_a_latency_without_the_work_that_is_left_on_the_cpu_is_shown_and_not_graded():
    found = measured(place("CONV_2D"), place("GELU"))
    assert (found["cpu_operators"].value, found["latency_ms"].status) == ("GELU", "uncalibrated")
    assert found["latency_ms"].note.startswith("Not graded on coral-edge-tpu: what stays on the CPU is not in it. GELU")
    assert isinstance(found["latency_ms"].value, float)
    with pytest.raises(UnreadableWork, match="Not graded"):
        _asked_for("latency_ms", found, BOARD)
    assert _asked_for("tpu_operators", found, BOARD).value == 1


def test_conversions_alone_do_not_keep_a_latency_from_being_graded():
    found = measured(place("QUANTIZE", obstacle="computes with float32"), place("CONV_2D"))
    assert (found["cpu_operators"].value, found["latency_ms"].status) == ("QUANTIZE", "datasheet")


def test_a_model_that_is_not_mapped_at_all_has_no_latency():
    found = measured(place("CONV_2D", obstacle="computes with float32"))
    assert (found["tpu_operators"].value, found["latency_ms"].value) == (0, "unknown")
    assert "it computes with float32" in found["latency_ms"].note


def test_a_board_without_an_edge_tpu_has_none_of_these():
    assert EdgeTPUEngine().measure(b"", profiles.load("raspberry-pi-4"), lambda *_: None) == ()
    assert EdgeTPUEngine().breakdown(b"", None, lambda *_: None) is None


def test_every_operator_of_the_list_is_one_that_a_file_can_have():
    assert {name for name in OPERATORS if not hasattr(schema.BuiltinOperator, name)} == set()


@pytest.mark.box
def test_a_model_is_mapped_from_its_file_and_always_alike():
    said = [EdgeTPUEngine().measure(models.convolution(8, 4), BOARD, inside) for _ in range(2)]
    assert said[0] == said[1]
    assert {each.metric: each.value for each in said[0]}["tpu_operators"] == 1
    whole = EdgeTPUEngine().breakdown(models.convolution(8, 4), BOARD, inside)
    assert [part.operator for part in whole.parts] == ["CONV_2D"]
