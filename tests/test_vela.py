"""The engine `vela`: figures that the pinned compiler gives for tiny models, and what is never graded."""

from __future__ import annotations

import configparser
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import models
from coursekit import measure, profiles, sandbox
from coursekit.errors import SpecError, ToolError, UnreadableWork
from coursekit.measure.documents import MODEL_FILE, CannotRun, Compiled, Left, Missing, NpuStep, Problem
from coursekit.measure.vela import Vela
from coursekit.records import Finished, Limits, Measurement

BOARD, LARGE = profiles.load("ethos-u55-128"), profiles.load("ethos-u55-256")


def step(**changes: object) -> NpuStep:
    fields = {
        "operator": "CONV_2D",
        "name": "layer",
        "macs": 10,
        "arithmetic": 900,
        "sram": 0,
        "flash": 0,
        "cpu": False,
    }
    return NpuStep(**{**fields, **changes})


def planned(**changes: object) -> Compiled:
    fields = {"version": "5.2.0", "cycles": 1000, "macs": 2304, "stated_macs": 2304, "sram_bytes": 320}
    fields |= {"flash_bytes": 112, "steps": (step(), step(operator="SOFTMAX", arithmetic=0, flash=100)), "left": ()}
    return Compiled(**{**fields, **changes})


def answering(found: msgspec.Struct):
    """Give a box in which the compiler says this."""
    return lambda *_: Finished(returncode=0, stdout=msgspec.json.encode(found), stderr=b"")


def ending(**fields: object):
    return lambda *_: Finished(**{"returncode": 0, "stdout": b"", "stderr": b"", **fields})


def figures(model: bytes, box, board: profiles.Profile = BOARD) -> dict[str, Measurement]:
    return {each.metric: each for each in Vela().measure(model, board, box)}


def said(found: msgspec.Struct) -> dict[str, Measurement]:
    return figures(b"", answering(found))


def values(found: dict[str, Measurement]) -> list[int | float | str]:
    return [each.value for each in found.values()]


# --- What is made of the compiler's answer ---------------------------------------------------------------------------


def test_cycles_are_time_at_the_clock_of_the_profile():
    found = said(planned())
    assert (found["latency_ms"].value, found["latency_ms"].unit) == (0.002, "ms")  # 1000 cycles at 500 MHz
    assert (found["npu_cycles"].value, found["npu_cycles"].band, found["npu_cycles"].status) == (1000, 0.4, "datasheet")


def test_memory_is_exact_and_has_no_band():
    found = said(planned())
    assert {found[each].status for each in ("npu_sram_bytes", "npu_flash_bytes", "npu_macs")} == {"exact"}
    assert (found["npu_sram_bytes"].value, found["npu_flash_bytes"].value, found["npu_flash_bytes"].band) == (
        320,
        112,
        0,
    )


def test_every_figure_that_is_promised_comes_and_names_its_board():
    assert set(said(planned())) == set(Vela.metrics)
    assert {each.profile for each in said(planned()).values()} == {"ethos-u55-128"}


@pytest.mark.parametrize(
    ("spent", "word"), [({}, "arithmetic"), ({"sram": 901}, "SRAM"), ({"sram": 899, "flash": 901}, "flash")]
)
def test_the_bottleneck_is_what_most_cycles_wait_for(spent: dict[str, int], word: str):
    assert said(planned(steps=(step(**spent),)))["npu_bottleneck"].value == word


def test_a_model_that_is_whole_on_the_npu_leaves_no_operator():
    found = said(planned())
    assert (found["cpu_operators"].value, found["cpu_operator_count"].value) == ("none", 0)


def test_a_few_values_at_the_ends_are_named_and_do_not_spoil_the_grade():
    found = said(planned(left=(Left(operator="DEQUANTIZE", values=20),)))
    assert found["latency_ms"].status == "datasheet"
    assert found["latency_ms"].note == "Without what stays on the processor: DEQUANTIZE."
    assert found["cpu_operators"].value == "DEQUANTIZE"


@pytest.mark.parametrize(
    "left",
    [
        (Left(operator="CONV_2D", values=2),),
        (Left(operator="WHILE", values=0),),
        (Left(operator="FlexErf", values=0),),
        (Left(operator="DEQUANTIZE", values=129),),
        (Left(operator="RESHAPE", values=65), Left(operator="RESHAPE", values=65)),
    ],
)
def test_work_that_is_left_to_the_processor_makes_nothing_of_the_npu_gradable(left: tuple[Left, ...]):
    found = said(planned(left=left))
    assert {each.status for metric, each in found.items() if not metric.startswith("cpu_")} == {"uncalibrated"}
    assert found["latency_ms"].note.startswith(f"Not graded on ethos-u55-128: Vela leaves {left[0].operator}")
    assert (found["cpu_operator_count"].value, found["cpu_operator_count"].status) == (len(left), "exact")


def test_float_ends_are_told_how_to_be_whole():
    found = said(planned(left=(Left(operator="QUANTIZE", values=784),)))
    assert found["latency_ms"].note.endswith("does not say what it takes. Convert it with int8 inputs and outputs.")


def test_multiplications_that_the_compiler_did_not_see_are_not_graded():
    found = said(planned(macs=36))["latency_ms"]
    assert found.status == "uncalibrated"
    assert found.note.endswith("of the 2,304 multiply-accumulates in the file Vela compiled 36.")


def test_multiplications_that_cannot_be_counted_in_the_file_are_the_compilers_to_count():
    assert said(planned(macs=36, stated_macs=None))["latency_ms"].status == "datasheet"


def test_a_model_that_is_whole_on_the_processor_has_no_figures_but_names():
    left = (
        Left(operator="FULLY_CONNECTED", values=7),
        Left(operator="RELU", values=6),
        Left(operator="RELU", values=6),
    )
    found = said(planned(cycles=0, macs=0, sram_bytes=0, flash_bytes=0, left=left))
    assert values(found) == ["unknown"] * 6 + ["FULLY_CONNECTED, RELU x2", 3]
    assert found["latency_ms"].note == (
        "Your model has no figures on ethos-u55-128: all of it stays on the processor (FULLY_CONNECTED, RELU x2). "
        "An Ethos-U runs int8 and int16 models."
    )


def test_a_model_that_cannot_be_compiled_is_unknown_with_the_compilers_words():
    found = said(CannotRun(reason="Index out of\x1b[31m bounds"))
    assert set(values(found)) == {"unknown"}
    assert found["latency_ms"].note == "Vela cannot compile this model for ethos-u55-128: Index out of [31m bounds."


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"returncode": -11}, "Your model makes Vela crash (SIGSEGV). It has no figures on ethos-u55-128."),
        (
            {"returncode": -9, "stopped": "60 seconds"},
            "Your model was too much for Vela and was stopped: 60 seconds. It has no figures on ethos-u55-128.",
        ),
    ],
)
def test_a_model_that_breaks_the_compiler_keeps_the_figures_of_other_engines(how: dict[str, object], sentence: str):
    def inside(words, files):
        return ending(**(how if files[MODEL_FILE] == b"" else {}))(words, files)

    found = figures(b"", inside)
    assert set(values(found)) == {"unknown"}
    assert {each.note for each in found.values()} == {sentence}


def test_a_file_that_is_no_model_is_the_students_to_mend():
    with pytest.raises(UnreadableWork, match="Your model is damaged"):
        said(Problem(what="Your model is damaged."))


def test_a_missing_compiler_is_named_with_the_extra_that_brings_it():
    with pytest.raises(ToolError, match="ethos-u-vela is not installed") as caught:
        said(Missing(package="ethos-u-vela", extra="vela"))
    assert caught.value.fix == "pip install 'coursekit[vela]'"


def test_another_release_of_the_compiler_gives_no_figure():
    with pytest.raises(ToolError, match=r"ethos-u55-128 needs ethos-u-vela 5\.2\.0; 5\.3\.0 is installed\."):
        said(planned(version="5.3.0"))


def test_a_configuration_that_the_compiler_refuses_is_our_fault():
    with pytest.raises(ToolError, match="Invalid System Config"):
        figures(b"", ending(returncode=1, stderr=b"Traceback\nValueError: Invalid System Config"))


@pytest.mark.parametrize("board", [None, profiles.load("nucleo-l4r5zi")])
def test_a_board_without_an_npu_has_none_of_these(board: profiles.Profile | None):
    assert Vela().measure(b"", board, ending(returncode=1)) == ()
    assert Vela().breakdown(b"", board, ending(returncode=1)) is None


def test_a_breakdown_says_what_each_operator_takes_and_waits_for():
    left = step(operator="FLOOR", arithmetic=0, macs=0, cpu=True)
    found = Vela().breakdown(b"", BOARD, answering(planned(steps=(*planned().steps, left))))
    assert [(part.operator, part.cycles, part.nanoseconds, part.per_mille, part.bound) for part in found.parts] == [
        ("CONV_2D", 900, 1800, 900, "arithmetic"),
        ("SOFTMAX", 100, 200, 100, "flash"),
        ("FLOOR", 0, 0, 0, "processor, not priced"),
    ]
    assert (found.cycles, found.nanoseconds, found.band, found.status) == (1000, 2000, 0.4, "datasheet")
    assert [part.calibrated for part in found.parts] == [True, True, False]


def test_a_breakdown_of_what_cannot_be_compiled_is_a_refusal():
    found = Vela().breakdown(b"", BOARD, answering(CannotRun(reason="no")))
    assert (found.parts, found.refusal) == ((), "Vela cannot compile this model for ethos-u55-128: no.")


# --- Profiles --------------------------------------------------------------------------------------------------------


def test_the_version_of_a_profile_covers_the_systems_that_it_names():
    lines = profiles.vela_systems().decode().splitlines()
    assert "[System_Config.Ethos_U55_500MHz]" in lines
    own = profiles.path("ethos-u55-128").read_bytes()
    assert profiles.sha256("ethos-u55-128") == hashlib.sha256(own + profiles.vela_systems()).hexdigest()


def test_the_bandwidths_in_the_title_are_those_of_the_system():
    systems = configparser.ConfigParser()
    systems.read_string(profiles.vela_systems().decode())
    system = systems[f"System_Config.{BOARD.vela.system_config}"]
    port = 8 * BOARD.clock_hz / 1e9  # 8 bytes in each cycle
    assert f"flash at {port * system.getfloat('OffChipFlash_clock_scale'):g} GB/s" in BOARD.title
    assert f"SRAM at {port * system.getfloat('Sram_clock_scale'):g} GB/s" in BOARD.title


def test_every_system_is_named_so_that_the_compiler_takes_the_ports_of_an_ethos_u55():
    sections = [line[1:-1] for line in profiles.vela_systems().decode().splitlines() if line.startswith("[")]
    assert {name[:23] for name in sections if name.startswith("System_")} == {"System_Config.Ethos_U55"}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("accelerator: ethos-u55-128", "accelerator: ethos-u99", "vela.accelerator must be 'ethos-u55-32',"),
        (
            "memory_mode: Weights",
            "memory_mode: Weight",
            "vela.memory_mode: ethos-u.ini has no section 'Memory_Mode.Wei",
        ),
        ("system_config: Ethos", "system_config: Etho", "vela.system_config: ethos-u.ini has no section 'System_Conf"),
        ("clock_hz: 500_", "clock_hz: 400_", "clock_hz is not the core_clock of System_Config.Ethos_U55_500MHz"),
    ],
)
def test_a_profile_cannot_name_what_is_not_there(tmp_path: Path, old: str, new: str, what: str):
    text = profiles.path("ethos-u55-128").read_text().replace("name: ethos-u55-128", "name: mine")
    assert old in text
    (tmp_path / "mine.yaml").write_text(text.replace(old, new))
    with pytest.raises(SpecError) as caught:
        profiles.load("mine", [tmp_path])
    assert caught.value.what.startswith(what)


# --- The compiler itself ---------------------------------------------------------------------------------------------


def inside(arguments: Sequence[str], files: Mapping[str, bytes]) -> Finished:
    """Run a module in a fresh folder, as a box does."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-I", "-m", *arguments], cwd=folder, capture_output=True, timeout=60, check=False
        )
    return Finished(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


def followed(*more: tuple[models.Tensor, str]) -> bytes:
    """Give a 3x3 CONV_2D over 8x8x1 with what comes after it, each operator with the tensor that it makes."""
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    tensors = [
        models.Tensor(name="x", shape=(1, 8, 8, 1), scale=1 / 16, zero=-128),
        models.Tensor(name="w", shape=(4, 3, 3, 1), scale=1 / 8, data=models.weights(4, 3, 3, 1)),
        models.Tensor(name="b", shape=(4,), dtype="INT32", scale=1 / 128, data=np.zeros(4, np.int32)),
        models.Tensor(name="c", shape=(1, 8, 8, 4), scale=1 / 4),
    ]
    operators = [models.Operator(name="CONV_2D", inputs=(0, 1, 2), outputs=(3,), options=options)]
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    for tensor, name in more:
        options = softmax if name == "SOFTMAX" else None
        place = len(tensors)
        operators.append(models.Operator(name=name, inputs=(place - 1,), outputs=(place,), options=options))
        tensors.append(tensor)
    return models.build(tensors, operators)


@pytest.mark.box
def test_a_convolution_takes_what_the_pinned_compiler_plans_in_a_real_box():
    box = sandbox.runner("bwrap", Limits(memory_bytes=2_000_000_000))
    found = figures(models.convolution(8, 4), box)
    assert values(found) == [0.001472, 736, 320, 112, 8 * 8 * 4 * 9, "arithmetic", "none", 0]


@pytest.mark.box
def test_weights_that_are_read_once_take_a_cycle_a_byte_from_flash():
    found = Vela().breakdown(models.dense(512, 256), BOARD, inside)
    (part,) = found.parts
    assert (part.operator, part.name, part.bound) == ("FULLY_CONNECTED", "y", "flash")
    assert part.cycles == figures(models.dense(512, 256), inside)["npu_flash_bytes"].value  # 0.5 GB/s at 500 MHz


@pytest.mark.box
def test_twice_the_multipliers_take_fewer_cycles_for_the_same_work():
    model = models.convolution(32, 32)
    small, large = (figures(model, inside, board) for board in (BOARD, LARGE))
    assert large["npu_cycles"].value < small["npu_cycles"].value
    assert large["npu_macs"].value == small["npu_macs"].value


@pytest.mark.box
def test_the_same_model_gives_the_same_bytes():
    model = followed((models.Tensor(name="y", shape=(1, 8, 8, 4), scale=1 / 256, zero=-128), "LOGISTIC"))
    answers = {msgspec.json.encode(Vela().measure(model, BOARD, inside)) for _ in range(3)}
    assert len(answers) == 1


@pytest.mark.box
def test_a_breakdown_of_operators_that_the_compiler_splits_adds_up():
    model = followed((models.Tensor(name="y", shape=(1, 8, 8, 4), scale=1 / 256, zero=-128), "SOFTMAX"))
    found = Vela().breakdown(model, BOARD, inside)
    assert [part.operator for part in found.parts] == ["CONV_2D", "SOFTMAX"]
    assert sum(part.cycles for part in found.parts) == found.cycles


@pytest.mark.box
@pytest.mark.parametrize(
    ("model", "left"),
    [
        (models.dense_float(), "FULLY_CONNECTED"),
        (models.tiled(), "TILE"),
    ],
)
def test_a_float_model_stays_on_the_processor(model: bytes, left: str):
    found = figures(model, inside)
    assert values(found) == ["unknown"] * 6 + [left, 1]
    assert found["latency_ms"].note.endswith("An Ethos-U runs int8 and int16 models.")


@pytest.mark.box
def test_operators_that_the_npu_does_not_have_are_named_and_not_graded():
    shape = (1, 8, 8, 4)
    real = [models.Tensor(name=name, shape=shape, dtype="FLOAT32") for name in ("real", "floor")]
    model = followed((real[0], "DEQUANTIZE"), (real[1], "FLOOR"))
    found = figures(model, inside)
    assert found["cpu_operators"].value == "DEQUANTIZE, FLOOR"
    assert (found["npu_cycles"].value, found["npu_cycles"].status) == (736, "uncalibrated")
    with pytest.raises(UnreadableWork, match="Not graded on ethos-u55-128: Vela leaves DEQUANTIZE, FLOOR"):
        measure.measure(model, BOARD, inside, ["latency_ms"])


@pytest.mark.box
def test_understating_a_shape_gives_no_figure():
    found = figures(models.convolution(8, 4, stated=(1, 1, 1, 4)), inside)
    assert set(values(found)) == {"unknown"}
    assert "the file states for 'y' the shape 1x1x1x4, and running it gives 1x8x8x4." in found["latency_ms"].note


@pytest.mark.box
def test_leaving_a_size_open_that_is_not_one_gives_no_figure():
    tensors = [
        models.Tensor(name="x", shape=(64, 4), scale=1 / 16, zero=-128),
        models.Tensor(name="w", shape=(3, 4), scale=1 / 8, data=models.weights(3, 4)),
        models.Tensor(name="y", shape=(64, 3), scale=1 / 4),
    ]
    options = schema.FullyConnectedOptionsT()
    layer = models.Operator(name="FULLY_CONNECTED", inputs=(0, 1, -1), outputs=(2,), options=options)
    closed, left_open = (models.build(tensors, [layer], open_first=flag) for flag in (False, True))
    assert figures(closed, inside)["npu_macs"].value == 64 * 4 * 3
    found = figures(left_open, inside)
    assert set(values(found)) == {"unknown"}
    assert "leaves a size of 'x' open, which Vela takes for 1, and running it gives 64x4" in found["latency_ms"].note


@pytest.mark.box
def test_a_model_that_litert_cannot_run_has_shapes_that_nobody_checked():
    found = figures(models.custom("FlexErf"), inside)
    assert set(values(found)) == {"unknown"}
    assert "LiteRT cannot run it: " in found["latency_ms"].note


@pytest.mark.box
def test_a_damaged_file_gets_one_sentence():
    rng = np.random.default_rng(6)
    for number in range(6):
        data = bytearray(models.dense(16, 16))
        for place in rng.integers(8, len(data), 1 + number % 4):
            data[place] ^= 1 << int(rng.integers(8))
        try:
            notes = [each.note for each in Vela().measure(bytes(data), BOARD, inside) if each.value == "unknown"]
        except UnreadableWork as error:
            notes = [error.what]
        assert all(note.endswith(".") and note.isprintable() for note in notes)


@pytest.mark.box
def test_the_command_itself_gives_the_same_cycles_for_our_system(tmp_path: Path):
    (tmp_path / "model.tflite").write_bytes(models.dense(512, 256))
    (tmp_path / "ethos-u.ini").write_bytes(profiles.vela_systems())
    words = ["--accelerator-config", BOARD.vela.accelerator, "--system-config", BOARD.vela.system_config]
    words += ["--memory-mode", BOARD.vela.memory_mode, "--config", f"{tmp_path}/ethos-u.ini", "--output-dir", "out"]
    subprocess.run(
        [sys.executable, "-m", "ethosu.vela", "model.tflite", *words], cwd=tmp_path, check=True, capture_output=True
    )
    header, row = (tmp_path / "out" / "model_summary_Ethos_U55_500MHz.csv").read_text().splitlines()
    told = dict(zip(header.split(","), row.split(","), strict=True))
    found = figures(models.dense(512, 256), inside)
    assert found["npu_cycles"].value == float(told["cycles_total"])
    assert found["latency_ms"].value == pytest.approx(1000 * float(told["inference_time"]))
    assert found["npu_flash_bytes"].value == 1024 * float(told["off_chip_flash_memory_used"])
