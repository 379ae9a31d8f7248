"""The engine `roofline`: the longer of arithmetic and traffic, in whole numbers, held to published figures."""

from __future__ import annotations

import importlib.util
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from coursekit import calibrating, profiles
from coursekit.errors import SpecError, UnreadableWork
from coursekit.measure import _asked_for
from coursekit.measure.documents import Demand, Load
from coursekit.measure.inside.counting import declared_shapes
from coursekit.measure.inside.graph import read
from coursekit.measure.inside.roofline import demand, loads
from coursekit.measure.roofline import RooflineEngine
from coursekit.profiles.calibration import rooflines
from coursekit.profiles.rooflines import bound, bounds, whole
from coursekit.records import Finished, Measurement

BOARD = profiles.load("raspberry-pi-4")
NAMES = [name for name in profiles.names() if profiles.load(name).roofline]
CHECKED = [name for name in NAMES if rooflines.rows(name)]
ROUND = profiles.Roofline(  # a multiply-accumulate and a byte take a nanosecond, a start takes ten
    macs_per_second={"int8": 2 * 10**9, "float32": 10**9},
    efficiency_per_mille={"int8": 500, "float32": 500},
    depthwise_per_mille=250,
    bytes_per_second=2 * 10**9,
    traffic_per_mille=500,
    operator_ns=10,
    band=0.5,
)


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


def answering(found: Demand):
    """Give a box in which the demand is this."""
    return lambda *_: Finished(returncode=0, stdout=msgspec.json.encode(found), stderr=b"")


def load(**changes: object) -> Load:
    stated = {"operator": "CONV_2D", "name": "layer", "dtype": "int8", "depthwise": False}
    return Load(**{**stated, "macs": 0, "activation_bytes": 0, "weight_bytes": 0, **changes})


def on(stated: profiles.Roofline, **changes: object) -> profiles.Profile:
    return msgspec.structs.replace(BOARD, roofline=stated, **changes)


def latency(*found: Load, board: profiles.Profile | None = None) -> Measurement:
    (figure,) = RooflineEngine().measure(b"", board or on(ROUND), answering(Demand(loads=found)))
    return figure


# --- Counts ----------------------------------------------------------------------------------------------------------


def test_a_dense_layer_is_counted_in_the_bytes_of_its_own_types():
    (found,) = demand(models.dense(4, 3)).loads
    assert (found.operator, found.name, found.dtype) == ("FULLY_CONNECTED", "y", "int8")
    assert (found.macs, found.activation_bytes, found.weight_bytes) == (12, 4 + 3, 12 + 3 * 4)
    (real,) = demand(models.dense_float(4, 3)).loads
    assert (real.dtype, real.macs, real.activation_bytes, real.weight_bytes) == ("float32", 12, 4 * 7, 4 * 12)


def test_understating_a_shape_does_not_lower_the_demand():
    assert demand(models.convolution(8, 4, stated=(1, 1, 1, 4))).loads == demand(models.convolution(8, 4)).loads


def test_weights_that_are_stored_smaller_are_unpacked_once_and_not_for_each_inference():
    tensors = [
        models.Tensor(name="x", shape=(1, 4), dtype="FLOAT32"),
        models.Tensor(name="half", shape=(3, 4), dtype="FLOAT16", data=np.ones((3, 4), np.float16)),
        models.Tensor(name="w", shape=(3, 4), dtype="FLOAT32"),
        models.Tensor(name="y", shape=(1, 3), dtype="FLOAT32"),
    ]
    unpack = models.Operator(name="DEQUANTIZE", inputs=(1,), outputs=(2,), options=schema.DequantizeOptionsT())
    layer = models.Operator(
        name="FULLY_CONNECTED", inputs=(0, 2, -1), outputs=(3,), options=schema.FullyConnectedOptionsT()
    )
    (found,) = demand(models.build(tensors, [unpack, layer])).loads
    assert (found.operator, found.activation_bytes, found.weight_bytes) == ("FULLY_CONNECTED", 28, 48)


def test_a_pool_accumulates_its_window():
    options = schema.Pool2DOptionsT()
    options.filterHeight = options.filterWidth = options.strideH = options.strideW = 4
    tensors = [
        models.Tensor(name=name, shape=(1, size, size, 2), dtype="FLOAT32") for name, size in (("x", 8), ("y", 2))
    ]
    pool = models.Operator(name="AVERAGE_POOL_2D", inputs=(0,), outputs=(1,), options=options)
    (found,) = demand(models.build(tensors, [pool])).loads
    assert found.macs == 2 * 2 * 2 * 16


def test_what_only_renames_a_tensor_moves_nothing():
    tensors = [
        models.Tensor(name="x", shape=(1, 4), dtype="FLOAT32"),
        models.Tensor(name="shape", shape=(2,), dtype="INT32", data=np.array([2, 2], np.int32)),
        models.Tensor(name="y", shape=(2, 2), dtype="FLOAT32"),
        models.Tensor(name="z", shape=(2, 2), dtype="FLOAT32"),
    ]
    reshape = models.Operator(name="RESHAPE", inputs=(0, 1), outputs=(2,), options=schema.ReshapeOptionsT())
    curve = models.Operator(name="TANH", inputs=(2,), outputs=(3,))
    found, _ = demand(models.build(tensors, [reshape, curve])).loads
    assert (found.macs, found.activation_bytes) == (0, 0)


def test_the_demand_of_a_custom_operator_is_not_guessed():
    found = demand(models.custom())
    assert (found.loads, found.refusal) == ((), "The work of custom operators cannot be counted: FlexErf.")


def test_a_damaged_file_has_a_demand_or_one_sentence_and_nothing_else():
    found = {"demand": 0, "sentence": 0}
    random = np.random.default_rng(7)
    for whole_file in (models.convolution(8, 4), models.dense(16, 16)):
        for _ in range(200):
            mutant = bytearray(whole_file)
            for place in random.integers(0, len(mutant), random.integers(1, 6)):
                mutant[place] = random.integers(0, 256)
            try:
                graph = read(bytes(mutant))
                loads(graph, declared_shapes(graph))
                found["demand"] += 1
            except UnreadableWork:
                found["sentence"] += 1
    assert min(found.values()) > 30


# --- Bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("macs", "moved", "nanoseconds", "word"),
    [(100, 30, 110, "arithmetic"), (30, 100, 110, "memory"), (5, 9, 19, "overhead"), (0, 0, 0, "")],
)
def test_an_operator_takes_the_longer_of_its_arithmetic_and_its_traffic_and_its_start(
    macs: int, moved: int, nanoseconds: int, word: str
):
    found = bound(ROUND, "int8", macs=macs, moved=moved)
    assert (found.total, found.word) == (1000 * nanoseconds, word)


def test_a_depthwise_layer_reaches_a_share_of_the_rate():
    assert bound(ROUND, "int8", macs=100, moved=0, depthwise=True).arithmetic == 4 * 100_000


def test_a_type_without_a_rate_is_four_times_as_slow_as_the_slowest():
    found = bound(ROUND, "int16", macs=100, moved=0)
    assert (found.arithmetic, found.known, found.guessed) == (4 * 200_000, False, 800_000)


def test_nothing_that_is_done_is_free():
    fast = msgspec.structs.replace(
        ROUND, macs_per_second={"int8": 10**15}, efficiency_per_mille={"int8": 1000}, bytes_per_second=10**15
    )
    found = bound(fast, "int8", macs=1, moved=1)
    assert (found.arithmetic, found.memory) == (1, 1)


def test_weights_beyond_a_cache_are_moved_and_others_are_not():
    layers = [load(weight_bytes=size, activation_bytes=99) for size in (60, 60, 10)]
    assert [each.memory for each in bounds(layers, ROUND, 100)] == [0, 20_000, 10_000]


def test_an_inference_has_a_start_and_ends_of_its_own():
    stated = msgspec.structs.replace(ROUND, start_ns=1_000)
    assert whole(bounds([load(macs=100)], stated, 0), stated, ends_bytes=50) == 1000 * (1_000 + 110 + 50)


# --- Figures ---------------------------------------------------------------------------------------------------------


def test_a_figure_is_the_sum_of_its_operators_and_says_what_it_is():
    figure = latency(load(macs=3_000_000), load(activation_bytes=1_000_000))
    assert figure.value == pytest.approx(4.0, abs=1e-4)
    assert (figure.unit, figure.band, figure.status) == ("ms", 0.5, "datasheet")
    assert figure.note == "A roofline from data sheets, not a measurement."


def test_a_figure_that_rests_on_a_type_without_a_rate_is_marked_and_refused_to_a_target():
    figure = latency(load(macs=1000), load(operator="FULLY_CONNECTED", dtype="int16", macs=1000))
    assert figure.status == "uncalibrated"
    assert "Not graded on raspberry-pi-4" in figure.note
    assert "int16 in FULLY_CONNECTED" in figure.note
    with pytest.raises(UnreadableWork, match="Not graded"):
        _asked_for("latency_ms", {"latency_ms": figure}, BOARD)


def test_a_little_of_such_a_type_is_not_marked():
    figure = latency(load(macs=1_000_000), load(dtype="int64", activation_bytes=8))
    assert figure.status == "datasheet"


def test_what_cannot_be_counted_gives_no_figure():
    said = Demand(refusal="The work of custom operators cannot be counted: FlexErf.")
    (figure,) = RooflineEngine().measure(b"", BOARD, answering(said))
    assert (figure.value, figure.status) == ("unknown", "uncalibrated")
    assert figure.note.startswith("Your model has no latency on raspberry-pi-4: ")


def test_a_board_without_rates_and_an_accelerator_have_no_figure_from_this_engine():
    assert RooflineEngine().measure(b"", None, answering(Demand())) == ()
    assert RooflineEngine().measure(b"", profiles.load("nucleo-l4r5zi"), answering(Demand())) == ()
    assert RooflineEngine().measure(b"", profiles.load("coral-edge-tpu"), answering(Demand())) == ()


def test_words_from_the_box_are_made_plain():
    found = RooflineEngine().breakdown(b"", on(ROUND), answering(Demand(loads=(load(name="a\x1b[31m\nb", macs=1),))))
    assert found.parts[0].name == "a [31m b"


@pytest.mark.box
def test_the_same_model_gives_the_same_bytes():
    said = {msgspec.json.encode(RooflineEngine().measure(models.convolution(), BOARD, inside)) for _ in range(2)}
    assert len(said) == 1


@pytest.mark.box
def test_the_breakdown_adds_up_to_the_figure():
    found = RooflineEngine().breakdown(models.convolution(64, 16), BOARD, inside)
    assert sum(part.nanoseconds for part in found.parts) == pytest.approx(found.nanoseconds, abs=len(found.parts))
    assert [(part.operator, part.bound) for part in found.parts] == [("CONV_2D", "overhead")]


# --- Published figures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHECKED)
def test_the_published_band_holds_on_published_figures(name: str):
    (verdict,) = (each for each in calibrating.verify() if each.profile == name)
    assert verdict.problems == ()
    assert verdict.rows >= 4
    assert verdict.family_error < 0.25
    assert verdict.inside >= calibrating.INSIDE


def test_a_roofline_that_nothing_checks_has_a_wide_band():
    assert set(NAMES) - set(CHECKED) == {"h200", "host"}
    assert min(profiles.load(name).roofline.band for name in ("h200", "host")) >= calibrating.UNCHECKED


def test_a_band_narrower_than_the_error_is_found():
    for name, share in (("raspberry-pi-4", 0.01), ("h200", 0.2)):
        board = profiles.load(name)
        narrow = msgspec.structs.replace(board.roofline, band=share)
        problems = calibrating._bounded(msgspec.structs.replace(board, roofline=narrow), narrow).problems
        assert any(f"its band is {share:.1%}" in each for each in problems)


def test_rates_that_the_anchor_does_not_give_are_found():
    faster = msgspec.structs.replace(
        BOARD.roofline, macs_per_second={"float32": 10**11, "int8": 10**11, "uint8": 10**11}
    )
    problems = calibrating._bounded(msgspec.structs.replace(BOARD, roofline=faster), faster).problems
    assert "its rates for int8 are not those that give mobilenet_v1's published figure" in problems


def test_every_published_figure_has_a_source_with_a_date_and_its_model_s_counts():
    for name in CHECKED:
        for row in rooflines.rows(name):
            assert re.search(r"\b20\d\d-\d\d-\d\d\b", row.source)
            assert row.milliseconds > 0
            assert sum(each.macs for each in row.loads) > 10**7


@pytest.mark.parametrize(("model", "macs"), [("mobilenet_v1", 568_740_352), ("mobilenet_v2", 300_774_272)])
def test_the_counts_are_those_of_the_published_architectures(model: str, macs: int):
    """As in Google's files of them, but for MobileNetV2's 1001st class there, which takes 1280 more."""
    found = {row.model: row for row in rooflines.rows("raspberry-pi-4") if row.dtype == "int8"}[model]
    layers = sum(each.macs for each in found.loads)
    assert layers == macs


def test_a_mean_error_is_what_it_says():
    misses = [abs(rooflines.miss(BOARD, row)) for row in rooflines.rows(BOARD.name) if not row.anchor]
    (verdict,) = (each for each in calibrating.verify() if each.profile == BOARD.name)
    assert verdict.family_error == pytest.approx(math.fsum(misses) / len(misses), abs=1e-4)


# --- Profiles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old", "new", "what"),
    [
        ("h200", "int8: 989_500_000_000_000", "int8: 0", "roofline.macs_per_second and bytes_per_second must be"),
        ("h200", "    int8: 391\n", "", "roofline.efficiency_per_mille must name the types"),
        ("h200", "traffic_per_mille: 600", "traffic_per_mille: 1001", "roofline: shares are thousandths"),
        ("h200", "operator_ns: 5_000", "operator_ns: -1", "roofline.operator_ns and start_ns cannot be less"),
        ("h200", "  band: 0.9", "  band: 1.5", "roofline.band must be between zero and one."),
        ("coral-edge-tpu", "cache_bytes: 8_388_608", "cache_bytes: 0", "edgetpu needs cache_bytes above zero"),
    ],
)
def test_a_rate_that_cannot_be_meant_is_refused(tmp_path: Path, name: str, old: str, new: str, what: str):
    text = (resources.files("coursekit.profiles") / f"{name}.yaml").read_text()
    assert old in text
    mine = text.replace(old, new, 1).replace(f"name: {name}", "name: mine", 1)
    (tmp_path / "mine.yaml").write_text(mine)
    with pytest.raises(SpecError) as caught:
        profiles.load("mine", [tmp_path])
    assert caught.value.what.startswith(what)
