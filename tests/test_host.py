"""Timing two models against each other: what pairs say, when a machine is refused, and what is graded."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

import courses
import models
from coursekit import measure, pairs, profiles, sandbox, scoring
from coursekit.errors import MachineError, SpecError, TimingError, ToolError, UnreadableWork
from coursekit.examination.asking import Bench, Targets, Wrong
from coursekit.examination.attempt import Attempt
from coursekit.measure.documents import MODEL_FILE, REFERENCE_FILE, Pair
from coursekit.measure.host import MOST_SECONDS, Host
from coursekit.profiles import Timing
from coursekit.records import Artifact, Band, Collected, Finished, Limits, Measurement, RunInside, Target

HOST = profiles.load("host")
SMALL, LARGE = models.convolution(24, 8), models.convolution(96, 8)
"""The same layer over 576 and over 9,216 pixels."""


def noisy(chance: random.Random, ratio: float, noise: float, count: int = 15) -> list[float]:
    """Give the logarithms of so many pairs whose true ratio this is."""
    return [math.log(ratio) + chance.gauss(0, noise) for _ in range(count)]


# --- What pairs say --------------------------------------------------------------------------------------------------


def test_a_ratio_is_of_the_times_of_one_inference():
    assert pairs.log_ratio((300, 100, 100, 300), 1, 1) == pytest.approx(math.log(3))
    assert pairs.log_ratio((300, 100, 100, 300), 6, 1) == pytest.approx(math.log(1 / 2))


def test_a_drift_that_is_even_over_a_pair_cancels():
    assert pairs.log_ratio((1000, 1100, 1200, 1300), 1, 1) == pytest.approx(0)


def test_one_disturbed_pair_does_not_move_the_ratio():
    logs = [math.log(0.5)] * 14 + [math.log(40)]
    assert pairs.ratio(logs) == pairs.Ratio(value=0.5, low=0.5, high=0.5)


def test_the_same_samples_give_the_same_figures_and_one_pair_is_sure_of_itself():
    logs = noisy(random.Random(1), 0.5, 0.05)
    assert pairs.ratio(logs) == pairs.ratio(list(logs))
    assert pairs.ratio([0.0]) == pairs.Ratio(value=1, low=1, high=1)


def test_the_interval_holds_the_true_ratio_in_about_95_of_100_cases():
    chance = random.Random(20)
    found = [pairs.ratio(noisy(chance, 0.7, 0.04)) for _ in range(60)]
    assert 50 <= sum(each.low <= 0.7 <= each.high for each in found) < 60
    assert all(each.low <= each.value <= each.high for each in found)
    assert 0.02 < sum(each.width for each in found) / 60 < 0.08


def test_four_times_the_pairs_halve_the_interval():
    chance = random.Random(21)
    few, many = ([pairs.ratio(noisy(chance, 1, 0.04, count)).width for _ in range(4)] for count in (15, 60))
    assert 0.35 < sum(many) / sum(few) < 0.7


@pytest.mark.parametrize("count", [15, 30])
def test_swapping_the_models_gives_the_inverse(count: int):
    logs = noisy(random.Random(3), 0.4, 0.1, count)
    there, back = pairs.ratio(logs), pairs.ratio([-each for each in logs])
    inverse = (1 / back.value, 1 / back.high, 1 / back.low)
    assert (there.value, there.low, there.high) == pytest.approx(inverse, rel=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "quiet"),
    [
        (0.99, 1.01, True),
        (1.001, 1.02, True),  # 1 is not in it, but near enough
        (1.0, 1.04, False),  # not sure enough
        (1.04, 1.05, False),  # surely not 1
        (1 / 1.05, 1 / 1.04, False),
        (1.029, 1.05, True),
    ],
)
def test_a_machine_is_quiet_if_a_model_against_itself_is_surely_nearly_1(low: float, high: float, quiet: bool):
    assert pairs.quiet(pairs.Ratio(value=(low + high) / 2, low=low, high=high), 0.03) is quiet
    assert pairs.quiet(pairs.Ratio(value=2 / (low + high), low=1 / high, high=1 / low), 0.03) is quiet


# --- What can be graded ----------------------------------------------------------------------------------------------

FASTER = Target(id="faster", metric="latency_ratio", points=10, at_most=Band(pass_=0.6, full=0.45), profile="host")


@pytest.mark.parametrize(
    ("interval", "clear"),
    [
        ((0.40, 0.45), True),
        ((0.40, 0.451), False),
        ((0.46, 0.50), False),
        ((0.59, 0.61), False),
        ((0.6, 0.7), False),
        ((0.601, 0.7), True),
        ((0.3, 0.7), False),
    ],
)
def test_an_interval_clears_a_target_if_all_of_it_earns_everything_or_nothing(
    interval: tuple[float, float], clear: bool
):
    assert scoring.clears(interval, FASTER) is clear


def test_an_interval_clears_a_target_that_wants_more_the_other_way_round():
    slower = Target(id="slower", metric="latency_ratio", points=10, at_least=Band(pass_=2, full=3))
    clear = [scoring.clears(interval, slower) for interval in ((3, 4), (2.9, 4), (2.1, 2.2), (1.9, 2.1), (1, 1.9))]
    assert clear == [True, False, False, False, True]


# --- What comes out of the box ---------------------------------------------------------------------------------------


def told(**changes: object) -> dict[str, object]:
    """Give what the program in the box prints for a model that takes half as long as the reference."""
    said = {"type": "pair", "model_loops": 200, "reference_loops": 100, "models": [10**7] * 4, "same": [10**7] * 4}
    return {**said, "cpu": "A\x1b[31m Processor", "load_percent": 120, **changes}


class Machine:
    """A box on a machine of which all is known: the ratio of the models, and how far noise throws off each pair."""

    def __init__(self, ratio: float, noise: float = 0.0, *, same: float = 1.0, seconds: float = 0.3) -> None:
        self.ratio, self.noise, self.same, self.seconds = ratio, noise, same, seconds
        self.asked: list[list[str]] = []

    def __call__(self, arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
        assert set(files) == {MODEL_FILE, REFERENCE_FILE}
        self.asked.append(list(arguments[1:]))
        chance = random.Random(int(arguments[1]))
        thrown = [round(10**7 * factor * math.exp(chance.gauss(0, self.noise))) for factor in (self.ratio, self.same)]
        both, same = ([each, 10**7, 10**7, each] for each in thrown)
        said = told(model_loops=100, models=both, same=same)
        return Finished(returncode=0, stdout=msgspec.json.encode(said), stderr=b"", wall_seconds=self.seconds)


def answering(**fields: object) -> RunInside:
    finished = Finished(**{"returncode": 0, "stdout": b"", "stderr": b"", **fields})
    return lambda arguments, files: finished


def test_a_comparison_says_what_was_done_and_where():
    found = Host().compare(SMALL, LARGE, HOST, answering(stdout=msgspec.json.encode(told())))
    assert found == Measurement(
        metric="latency_ratio",
        value=0.5,
        unit="",
        engine="host",
        profile="host",
        status="measured",
        note="15 pairs, CPU time of one pinned thread, A [31m Processor, load up to 1.2;"
        " the reference against itself 1.000 (1.000 to 1.000).",
        interval=(0.5, 0.5),
    )


def test_a_quiet_machine_is_asked_for_no_more_pairs_than_the_profile_wants():
    machine = Machine(0.5, 0.005)
    found = Host().compare(SMALL, LARGE, HOST, machine)
    assert [words[0] for words in machine.asked] == [str(number) for number in range(15)]
    assert {words[1] for words in machine.asked} == {str(round(2e9 / 60))}
    assert found.interval[0] <= 0.5 <= found.interval[1]


def test_pairs_are_doubled_until_both_ratios_are_known_closely_enough():
    machine = Machine(0.5, 0.025)
    found = Host().compare(SMALL, LARGE, HOST, machine)
    assert len(machine.asked) in {30, 60}
    assert found.note.startswith(f"{len(machine.asked)} pairs,")
    assert found.interval[1] / found.interval[0] < 1.03


def test_a_noisy_machine_is_refused_after_60_pairs():
    machine = Machine(0.5, 0.5)
    with pytest.raises(TimingError, match="too noisy to time models: over 60 pairs the reference against itself"):
        Host().compare(SMALL, LARGE, HOST, machine)
    assert len(machine.asked) == 60


def test_a_machine_on_which_a_model_is_surely_slower_than_itself_is_refused():
    with pytest.raises(TimingError, match=r"came out at 1\.060 to 1\.061"):
        Host().compare(SMALL, LARGE, HOST, Machine(0.5, 0.002, same=1.06))


def test_a_comparison_that_would_take_too_long_is_given_up_after_one_pair():
    machine = Machine(0.5, seconds=MOST_SECONDS / 14)
    with pytest.raises(TimingError, match=r"a pair of runs takes 8\.6 s here, and 15 of them would take more than"):
        Host().compare(SMALL, LARGE, HOST, machine)
    assert len(machine.asked) == 1


def test_pairs_are_doubled_only_as_far_as_there_is_time():
    machine = Machine(0.5, 0.04, seconds=MOST_SECONDS / 32)
    spread = msgspec.structs.replace(HOST, timing=Timing(seconds=2, repeats=15, spread=0.06))
    Host().compare(SMALL, LARGE, spread, machine)
    assert len(machine.asked) == 30


def test_a_machine_that_cannot_time_is_nobody_else_s_fault():
    assert issubclass(TimingError, MachineError)
    assert TimingError("x").exit_code == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"models": [10**7] * 3},
        {"models": [0, 1, 1, 1]},
        {"same": [1, 1, 1, -1]},
        {"same": [1, 1, 1, 2**60]},
        {"same": [1, 1, 1, 0.5]},
        {"model_loops": 0},
        {"reference_loops": 2**31},
        {"cpu": "x" * 201},
        {"load_percent": -1},
        {"more": 1},
    ],
)
def test_an_answer_that_no_program_of_ours_prints_is_refused(changes: dict[str, object]):
    with pytest.raises(ToolError, match="LiteRT gave no answer that can be read"):
        Host().compare(SMALL, LARGE, HOST, answering(stdout=msgspec.json.encode(told(**changes))))


@pytest.mark.parametrize(
    ("ended", "sentence"),
    [
        ({"stopped": "the time limit"}, "Your model was too much for LiteRT and was stopped: the time limit."),
        ({"returncode": -11}, "Your model makes LiteRT crash (SIGSEGV)."),
    ],
)
def test_a_model_that_breaks_or_stalls_its_runtime_gets_one_sentence(ended: dict[str, object], sentence: str):
    def inside(words, files):
        return answering(**(ended if files[MODEL_FILE] == SMALL else {}))(words, files)

    with pytest.raises(UnreadableWork) as caught:
        Host().compare(SMALL, LARGE, HOST, inside)
    assert str(caught.value) == sentence


def test_what_is_no_model_is_refused_before_a_box_is_made():
    for both in ((SMALL, b"PK"), (b"", LARGE)):
        with pytest.raises(UnreadableWork):
            measure.compare(*both, HOST, answering())


def test_one_model_alone_has_no_timed_figure():
    assert Host().measure(SMALL, HOST, answering()) == ()
    assert Host.metrics == ()


def test_the_engine_is_found_by_the_profile_s_word_for_ratios():
    found = measure.compare(SMALL, LARGE, HOST, Machine(0.5))
    assert (found.engine, found.value) == ("host", 0.5)
    assert measure.compare(SMALL, LARGE, profiles.load("nucleo-l4r5zi"), Machine(0.5)) is None


# --- The profile -----------------------------------------------------------------------------------------------------


def written(folder: Path, text: str) -> None:
    (folder / "mine.yaml").write_text(text.replace("name: host", "name: mine", 1))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("  seconds: 2.0", "  seconds: 0", "timing.seconds must be between 0.01 and 600."),
        ("  repeats: 15", "  repeats: 2", "timing.repeats must be between 3 and 100."),
        ("  spread: 0.03", "  spread: 3", "timing.spread must be between 0 and 1."),
        ("timing:\n  seconds: 2.0\n  repeats: 15\n  spread: 0.03\n", "", "the engine 'host' needs a section 'timing'."),
    ],
)
def test_a_profile_that_cannot_be_timed_is_refused(tmp_path: Path, old: str, new: str, what: str):
    text = profiles.path("host").read_text()
    assert old in text
    written(tmp_path, text.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        profiles.load("mine", [tmp_path])
    assert caught.value.what == what


# --- The target ------------------------------------------------------------------------------------------------------


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A board on which models are timed, and whose latency without a clock has prices."""
    text = profiles.path("nucleo-l4r5zi").read_text()
    timed = "timing: {seconds: 2.0, repeats: 15, spread: 0.03}\n"
    text = text.replace("  energy_uj: cycles\n", "  energy_uj: cycles\n  latency_ratio: host\n", 1)
    text = text.replace("sources:\n", f"{timed}sources:\n  timing: this test, 2026-11-24\n", 1)
    (tmp_path / "mine.yaml").write_text(text.replace("name: nucleo-l4r5zi", "name: mine", 1))
    return tmp_path


COUNTED = pytest.approx(0.5, rel=1e-4)
"""The ratio without a clock, which the rounding of both latencies moves a little."""


class Counted:
    """A box that times as its machine does, and counts one step of work for the small model and two for the large."""

    def __init__(self, machine: Callable[..., Finished]) -> None:
        self.machine = machine

    def __call__(self, arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
        if arguments[0].endswith(".host"):
            return self.machine(arguments, files)
        steps = 1 if files[MODEL_FILE] == SMALL else 2
        step = {"operator": "CONV_2D", "name": "y", "work": {"point_macs": 10**6}}
        return Finished(returncode=0, stdout=msgspec.json.encode({"type": "work", "steps": [step] * steps}), stderr=b"")


def targets(board: Path, machine: Callable[..., Finished], held: list[str]) -> Targets:
    """Give the targets of a submission whose artifact is the small model and whose baseline is the large one."""

    @contextlib.contextmanager
    def hold():
        held.append("held")
        yield

    both = {"artifact": SMALL, "baseline": LARGE}
    attempt = SimpleNamespace(
        task=SimpleNamespace(
            hidden_from=0, assignment=SimpleNamespace(**{name: Artifact(path=f"{name}.tflite") for name in both})
        ),
        run=SimpleNamespace(**{name: Collected(path=f"{name}.tflite") for name in both}),
        artifacts={f"{name}.tflite": data for name, data in both.items()},
        held=hold,
    )
    return Targets(attempt, Bench(Counted(machine), (board,)), {})


def asked_for(pass_: float, full: float) -> Target:
    return Target(id="faster", metric="latency_ratio", points=10, at_most=Band(pass_=pass_, full=full), profile="mine")


@pytest.mark.parametrize(("marks", "points"), [((0.6, 0.45), 10), ((0.2, 0.1), 0)])
def test_a_timed_figure_that_is_surely_on_one_side_is_graded(board: Path, marks: tuple[float, float], points: int):
    held: list[str] = []
    target = asked_for(*marks)
    found = targets(board, Machine(0.3, 0.005), held).figure(target)
    assert (found.engine, found.status, found.profile) == ("host", "measured", "mine")
    assert found.interval[0] <= 0.3 <= found.interval[1]
    assert found.note.startswith("against 'baseline.tflite'; 15 pairs, CPU time of one pinned thread")
    assert scoring.judge(target, found, hidden=False).earned == points
    assert held == ["held"]


@pytest.mark.parametrize("marks", [(0.6, 0.3), (0.31, 0.29), (0.3, 0.1)])
def test_a_timed_figure_that_decides_nothing_is_told_and_the_one_without_a_clock_stands(
    board: Path, marks: tuple[float, float]
):
    found = targets(board, Machine(0.3, 0.005), []).figure(asked_for(*marks))
    assert (found.value, found.engine, found.status, found.interval) == (COUNTED, "cycles", "calibrated", None)
    first, _, second = found.note.partition("'baseline.tflite'. ")
    assert first.endswith("ms of ")
    assert second.startswith("Timed here at 0.")
    assert second.endswith(" with 95 % confidence), too noisy to decide; the figure without a clock stands.")


def test_where_the_machine_is_too_noisy_the_figure_without_a_clock_stands(board: Path):
    found = targets(board, Machine(0.3, 0.5), []).figure(asked_for(0.6, 0.45))
    assert (found.value, found.engine) == (COUNTED, "cycles")
    assert "Not timed: this machine is too noisy to time models" in found.note
    assert found.note.endswith("the figure without a clock stands.")


@pytest.mark.parametrize("noise", [0.005, 0.5])
def test_two_models_are_timed_once_in_an_examination_whatever_came_of_it(board: Path, noise: float):
    machine = Machine(0.3, noise)
    asked = targets(board, machine, [])
    first = asked.figure(asked_for(0.6, 0.45))
    before = len(machine.asked)
    assert asked.figure(asked_for(0.6, 0.45)) == first
    assert asked.figure(asked_for(0.2, 0.1)).engine == first.engine
    assert len(machine.asked) == before


def test_a_model_that_cannot_be_timed_because_it_cannot_be_run_has_failed(board: Path):
    broken = answering(stdout=b'{"type":"problem","what":"LiteRT cannot run your model: it is odd."}')
    with pytest.raises(Wrong, match="LiteRT cannot run your model: it is odd"):
        targets(board, broken, []).figure(asked_for(0.6, 0.45))


def test_a_grader_that_breaks_is_not_taken_for_a_noisy_machine(board: Path):
    with pytest.raises(ToolError, match="LiteRT ended with status 1"):
        targets(board, answering(returncode=1), []).figure(asked_for(0.6, 0.45))


def test_a_board_that_is_not_there_is_not_timed_and_nothing_is_held(board: Path):
    held: list[str] = []
    target = msgspec.structs.replace(asked_for(0.6, 0.45), profile="nucleo-l4r5zi")
    found = targets(board, Machine(0.3), held).figure(target)
    assert (found.value, found.engine, held) == (COUNTED, "cycles", [])
    assert found.note.endswith("'baseline.tflite'")


@pytest.mark.parametrize(("stopped", "paused"), [("", ["paused", "going"]), ("the kernel ended by itself", [])])
def test_what_a_notebook_left_running_is_held_while_models_are_timed(stopped: str, paused: list[str]):
    seen: list[str] = []

    @contextlib.contextmanager
    def pause():
        seen.append("paused")
        yield
        seen.append("going")

    kernel = SimpleNamespace(stopped=stopped, box=SimpleNamespace(paused=pause))
    with Attempt.held(SimpleNamespace(kernel=kernel)):
        assert seen == paused[:1]
    assert seen == paused
    with Attempt.held(SimpleNamespace(kernel=None)):
        pass


# --- Real models in a real box ---------------------------------------------------------------------------------------

FEW = msgspec.structs.replace(HOST, timing=Timing(seconds=0.12, repeats=3, spread=0.9))
"""Pairs enough to tell 1 from 16 on any machine; with such a spread none is too noisy."""


@pytest.fixture(scope="module")
def inside() -> RunInside:
    return sandbox.runner("bwrap", Limits(memory_bytes=2_000_000_000))


@pytest.mark.box
def test_a_model_with_a_sixteenth_of_the_work_is_timed_as_faster_and_the_other_way_round(inside: RunInside):
    found = measure.compare(SMALL, LARGE, FEW, inside)
    assert (found.metric, found.engine, found.status) == ("latency_ratio", "host", "measured")
    assert 0 < found.interval[0] <= found.value <= found.interval[1] < 0.5
    back = measure.compare(LARGE, SMALL, FEW, inside)
    assert back.interval[0] > 2
    assert "CPU time of one pinned thread, " in found.note


@pytest.mark.box
def test_a_model_against_itself_takes_as_long_as_itself(inside: RunInside):
    found = measure.compare(LARGE, LARGE, FEW, inside)
    assert found.interval[1] > 0.8
    assert found.interval[0] < 1.25


@pytest.mark.box
@pytest.mark.parametrize("warm", [False, True])
def test_the_box_lets_a_program_start_anew_keep_to_one_processor_and_tell_real_times(warm: bool):
    with contextlib.closing(sandbox.programs(["numpy"])) if warm else contextlib.nullcontext() as zygote:
        inside = sandbox.runner("bwrap", Limits(memory_bytes=2_000_000_000), zygote=zygote.path if zygote else "")
        words = ["coursekit.measure.inside.host", "3", "1000000"]
        finished = inside(words, {MODEL_FILE: SMALL, REFERENCE_FILE: models.added()})
    assert finished.returncode == 0, finished.stderr
    said = msgspec.json.decode(finished.stdout, type=Pair)
    assert said.model_loops > 1
    assert all(each > 0 for each in said.models)
    assert sum((*said.models, *said.same)) < finished.cpu_seconds * 1e9
    assert said.cpu


@pytest.mark.box
def test_a_reference_that_cannot_be_run_is_named_as_that(inside: RunInside):
    with pytest.raises(UnreadableWork, match="About the model to compare with: Your model uses operators that LiteRT"):
        measure.compare(SMALL, models.custom(), FEW, inside)
    with pytest.raises(UnreadableWork, match=r"^Your model uses operators that LiteRT does not have: FlexErf"):
        measure.compare(models.custom(), SMALL, FEW, inside)


@pytest.mark.box
def test_a_model_that_never_ends_meets_the_limit_of_its_box(inside: RunInside):
    short = sandbox.runner("bwrap", Limits(memory_bytes=2_000_000_000), seconds=0.05)
    with pytest.raises(UnreadableWork, match="too much for LiteRT and was stopped: the time limit"):
        measure.compare(SMALL, LARGE, FEW, short)


GRADED = """\
artifact: {path: model.tflite, max_bytes: 200_000}
baseline: {path: baseline.tflite, max_bytes: 200_000}
targets:
  - {id: faster, metric: latency_ratio, profile: quick, at_most: {pass: 0.6, full: 0.5}, points: 5}
  - {id: slower, metric: latency_ratio, profile: quick, at_least: {pass: 0.6, full: 0.7}, points: 4}
"""

SPINS = """
import threading
def spin():
    while True:
        pass
threading.Thread(target=spin, daemon=True).start()
"""


@pytest.mark.box
def test_a_submission_is_graded_by_a_clock_while_its_own_threads_are_held(tmp_path: Path):
    export = courses.writes(SMALL) + "\n" + courses.writes(LARGE, "baseline.tflite") + SPINS
    cells = (courses.answer_cell("export", export),)
    courses.make(tmp_path, facts=GRADED, cells=cells, checks={"faster": 5, "slower": 4})
    quick = profiles.path("host").read_text().replace("name: host", "name: quick", 1)
    for old, new in (("seconds: 2.0", "seconds: 0.2"), ("repeats: 15", "repeats: 5"), ("spread: 0.03", "spread: 0.9")):
        quick = quick.replace(old, new, 1)
    (tmp_path / "autograder" / "profiles").mkdir()
    (tmp_path / "autograder" / "profiles" / "quick.yaml").write_text(quick)
    courses.submit(courses.released(tmp_path, "doubling"), "ada")
    graded = courses.by_id(courses.grade(tmp_path)["ada"])
    assert {name: check.earned for name, check in graded.items()} == {"five": 2, "arrays": 3, "faster": 5, "slower": 0}
    assert graded["faster"].measurement == graded["slower"].measurement
    assert graded["faster"].measurement.engine == "host"
