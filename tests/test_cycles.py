"""The engine `cycles`: work counted and priced by hand, in whole numbers, dear where nothing was measured."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import get_args

import msgspec
import numpy as np
import pytest

from coursekit import cost, profiles
from coursekit.cost import Unit
from coursekit.errors import GraderError, UnreadableWork
from coursekit.examination.asking import Bench, Targets
from coursekit.measure import _asked_for
from coursekit.measure.cycles import Cycles, price
from coursekit.measure.documents import Step, Work
from coursekit.measure.inside.counting import declared_shapes
from coursekit.measure.inside.cycles import work
from coursekit.measure.inside.graph import read
from coursekit.measure.inside.work import steps
from coursekit.records import Artifact, Band, Collected, Finished, Measurement, Target

BOARD = profiles.load("nucleo-l4r5zi")
PRICES = dict.fromkeys(get_args(Unit), 1_000_000)


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


def answering(found: Work):
    """Give a box in which the work is this."""
    return lambda *_: Finished(returncode=0, stdout=msgspec.json.encode(found), stderr=b"")


def costs(**changes: object) -> cost.Cost:
    stated = {"milli_cycles": PRICES, "calibrated": get_args(Unit), "prior": "x-cube-ai", "band": 0.1, **changes}
    return cost.Cost(**stated)


def one(**units: int) -> Work:
    return Work(steps=(Step(operator="CONV_2D", name="layer", work=units),), largest_bytes=1000)


# --- Work ------------------------------------------------------------------------------------------------------------


def test_a_dense_layer_is_counted_as_by_hand():
    (step,) = work(models.dense(4, 3)).steps
    assert (step.operator, step.name) == ("FULLY_CONNECTED", "y")
    assert step.work == {"steps": 1, "traffic_bytes": 7, "dense_macs": 12, "filter_outputs": 3}


def test_a_layer_over_an_image_of_few_channels_is_a_kind_of_its_own():
    found = work(models.convolution(8, 4))
    assert found.steps[0].work == {
        "steps": 1,
        "traffic_bytes": 64 + 256,
        "first_macs": 64 * 4 * 9,
        "filter_outputs": 256,
        "patch_values": 64 * 9,
    }
    assert found.largest_bytes == 256


def test_understating_a_shape_does_not_lower_the_work():
    assert work(models.convolution(8, 4, stated=(1, 1, 1, 4))).steps == work(models.convolution(8, 4)).steps


def test_zero_channels_are_work_like_all_others():
    assert work(models.convolution(8, 4, dead=(0, 1))).steps == work(models.convolution(8, 4)).steps


def test_numbers_of_a_type_that_was_not_measured_are_other_work():
    (step,) = work(models.dense_float(4, 3)).steps
    assert step.work == {"steps": 1, "traffic_bytes": 7, "other_macs": 12, "other_values": 7}


def test_the_work_of_a_custom_operator_is_not_guessed():
    found = work(models.custom())
    assert (found.steps, found.refusal) == ((), "The work of custom operators cannot be counted: FlexErf.")


def test_a_damaged_file_has_work_or_one_sentence_and_nothing_else():
    found = {"work": 0, "sentence": 0}
    random = np.random.default_rng(7)
    for whole in (models.convolution(8, 4), models.dense(16, 16)):
        for _ in range(300):
            mutant = bytearray(whole)
            for place in random.integers(0, len(mutant), random.integers(1, 6)):
                mutant[place] = random.integers(0, 256)
            try:
                graph = read(bytes(mutant))
                steps(graph, declared_shapes(graph))
                found["work"] += 1
            except UnreadableWork:
                found["sentence"] += 1
    assert min(found.values()) > 50


# --- Prices ----------------------------------------------------------------------------------------------------------


def test_a_price_is_a_sum_of_products_rounded_once():
    stated = costs(milli_cycles={**PRICES, "point_macs": 1_400, "steps": 100})
    found = price(one(point_macs=3, steps=1), "mine", stated, 1_000_000, "calibrated")
    assert (found.cycles, found.nanoseconds) == (4, 4300)  # 4.2 + 0.1
    assert found.parts[0].per_mille == 1000


def test_traffic_costs_only_where_it_leaves_the_fast_memory():
    found = one(traffic_bytes=500)
    assert price(found, "mine", costs(), 1_000_000, "calibrated").cycles == 0
    assert price(found, "mine", costs(fast_bytes=1_250), 1_000_000, "calibrated").cycles == 0
    far = price(found, "mine", costs(fast_bytes=1_249), 1_000_000, "calibrated")
    assert far.cycles == 500_000
    assert "fast memory" in far.note


def test_work_without_calibration_is_counted_and_named():
    found = price(one(point_macs=8, other_macs=2), "mine", costs(calibrated=("point_macs",)), 1_000_000, "calibrated")
    assert (found.unsupported_per_mille, found.unsupported) == (200, ("CONV_2D",))


def test_every_unit_has_a_price_above_zero_on_every_board():
    for name in profiles.names():
        board = profiles.load(name)
        if board.cost:
            assert set(board.cost.milli_cycles) == set(get_args(Unit))
            assert min(board.cost.milli_cycles.values()) > 0


def test_other_work_is_dearer_than_any_that_was_measured():
    for name in profiles.names():
        board = profiles.load(name)
        if board.cost:
            macs = {unit: each for unit, each in board.cost.milli_cycles.items() if unit.endswith("_macs")}
            assert max(macs, key=macs.__getitem__) == "other_macs"


# --- Figures ---------------------------------------------------------------------------------------------------------


def measured(found: Work, board: profiles.Profile = BOARD) -> dict[str, Measurement]:
    return {each.metric: each for each in Cycles().measure(b"", board, answering(found))}


def test_a_figure_carries_its_board_its_band_and_its_status():
    found = measured(one(dense_macs=264_192, filter_outputs=1_672, steps=10))
    assert found["latency_ms"].status == "calibrated"
    assert found["latency_ms"].band == BOARD.cost.band
    assert found["latency_ms"].profile == "nucleo-l4r5zi"
    assert found["latency_ms"].value == pytest.approx(10.05, rel=BOARD.cost.band)  # the published autoencoder
    assert found["energy_uj"].value == pytest.approx(416.3, rel=BOARD.power.band)


def test_energy_is_time_multiplied_by_power():
    found = measured(one(dense_macs=1_000_000))
    assert found["energy_uj"].value == pytest.approx(found["latency_ms"].value * BOARD.power.active_uw / 1000, rel=1e-3)


def test_a_figure_that_rests_on_unmeasured_work_is_marked():
    found = measured(one(dense_macs=100, other_macs=1000))["latency_ms"]
    assert found.status == "uncalibrated"
    assert "Not graded on nucleo-l4r5zi" in found.note
    assert "CONV_2D" in found.note
    assert isinstance(found.value, float)


def test_a_marked_figure_is_refused_to_a_target():
    found = measured(one(other_macs=1000))
    with pytest.raises(Exception, match="Not graded on nucleo-l4r5zi: 100 % of the cycles"):
        _asked_for("latency_ms", found, BOARD)


def test_work_that_cannot_be_counted_gives_no_figure():
    found = measured(Work(refusal="The work of custom operators cannot be counted: FlexErf."))["latency_ms"]
    assert (found.value, found.status) == ("unknown", "uncalibrated")
    assert found.note.startswith("Your model has no latency on nucleo-l4r5zi: ")


def test_a_board_without_prices_has_no_figures():
    bare = msgspec.structs.replace(BOARD, cost=None)
    assert Cycles().measure(b"", bare, answering(one())) == ()
    assert Cycles().measure(b"", None, answering(one())) == ()


def test_a_board_without_known_power_has_no_energy():
    assert list(measured(one(steps=1), msgspec.structs.replace(BOARD, power=None))) == ["latency_ms"]


@pytest.mark.box
def test_the_same_model_gives_the_same_bytes():
    said = {msgspec.json.encode(Cycles().measure(models.convolution(), BOARD, inside)) for _ in range(3)}
    assert len(said) == 1


@pytest.mark.box
def test_the_breakdown_adds_up_to_the_figure():
    found = Cycles().breakdown(models.convolution(16, 8), BOARD, inside)
    assert sum(part.cycles for part in found.parts) == pytest.approx(found.cycles, abs=len(found.parts))
    assert [part.operator for part in found.parts] == ["CONV_2D"]


# --- Against the student's own baseline ------------------------------------------------------------------------------


class Here(Bench):
    """Measures with this engine alone, in a process of its own."""

    def figure(self, data: bytes, metric: str, profile: str | None) -> Measurement:
        board = self.profile(profile) if profile else None
        return {each.metric: each for each in Cycles().measure(data, board, inside)}[metric]


def attempt(**files: bytes) -> SimpleNamespace:
    """What `Targets` asks of an attempt: which models were declared, which were found, and their bytes."""
    declared = {name: Artifact(path=f"{name}.tflite") for name in files}
    return SimpleNamespace(
        task=SimpleNamespace(hidden_from=0, assignment=SimpleNamespace(**declared)),
        run=SimpleNamespace(**{name: Collected(path=f"{name}.tflite") for name in files}),
        artifacts={f"{name}.tflite": data for name, data in files.items()},
    )


FASTER = Target(
    id="faster", metric="latency_ratio", points=5, at_most=Band(pass_=0.6, full=0.4), profile="nucleo-l4r5zi"
)


@pytest.mark.box
def test_a_ratio_sets_the_artifact_against_the_baseline_on_one_board():
    small, large = models.convolution(8, 4), models.convolution(16, 16)
    found = Targets(attempt(artifact=small, baseline=large), Here(inside, ()), {}).figure(FASTER)
    alone = [Cycles().measure(each, BOARD, inside)[0].value for each in (small, large)]
    assert found.value == round(alone[0] / alone[1], 6)
    assert (found.metric, found.unit, found.profile, found.status) == (
        "latency_ratio",
        "",
        "nucleo-l4r5zi",
        "calibrated",
    )
    assert "ms of 'baseline.tflite'" in found.note


@pytest.mark.box
def test_a_ratio_to_a_model_without_a_latency_cannot_be_drawn():
    both = attempt(artifact=models.convolution(8, 4), baseline=models.custom())
    with pytest.raises(GraderError, match="latency_ms on nucleo-l4r5zi is unknown"):
        Targets(both, Here(inside, ()), {}).figure(FASTER)
