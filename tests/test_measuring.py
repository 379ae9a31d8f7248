"""`coursekit measure` as a command: accuracy, a reference, charts, and one sentence for whatever is wrong."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

import models
from coursekit import cli, measuring, profiles
from coursekit.errors import CoursekitError, MachineError, UnreadableWork
from coursekit.measure import accuracy
from coursekit.records import Breakdown, Finished, Measurement

COMMAND = Path(sys.executable).with_name("coursekit")
BOARDS = ("nano33-ble-sense", "b-u585i")


def invoke(*words: object, fails: bool = False) -> str:
    """Run a command in this process and give what it printed, or the error that it left with."""
    done = CliRunner().invoke(cli.cli, [str(each) for each in words])
    if fails:
        assert done.exit_code != 0
        return str(done.exception) if isinstance(done.exception, CoursekitError) else done.output
    assert done.exit_code == 0, done.output + str(done.exception)
    return done.stdout


def on(*boards: str) -> list[str]:
    return [word for name in boards for word in ("--profile", name)]


# --- Inputs and labels -----------------------------------------------------------------------------------------------


def packed(**arrays: object) -> bytes:
    data = io.BytesIO()
    np.savez(data, **arrays)
    return data.getvalue()


X, Y = np.ones((3, 4)), np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "it is not an .npz file that can be read"),
        (b"PK\x03\x04 and more", "it is not an .npz file that can be read"),
        (packed(x=X, y=Y)[:-30], "it is not an .npz file that can be read"),
        (packed(x=X), "it has no array 'y'; it has x."),
        (packed(), "it has no array 'x'; it has nothing."),
        (packed(x=np.array([[{}]] * 3, dtype=object), y=Y), "it holds Python objects"),
        (packed(x=np.array([["a"]] * 3), y=Y), "x has the type <U1; it must be numbers."),
        (packed(x=np.full((3, 4), np.nan), y=Y), "x holds NaN or infinity."),
        (packed(x=np.ones(3), y=Y), "x has the shape 3; it must be n inputs"),
        (packed(x=np.ones((0, 4)), y=Y[:0]), "x has the shape 0x4; it must be n inputs"),
        (packed(x=X, y=Y[:2]), "y has the shape 2; it must be one label for each of the 3 inputs."),
        (packed(x=X, y=np.eye(3, dtype=int)), "If its rows are one-hot, save y.argmax(axis=1)."),
        (packed(x=X, y=Y.astype(float)), "y has the type float64; a label is the whole number of a class"),
        (packed(x=X, y=-Y), "y has labels below 0"),
    ],
)
def test_a_file_that_holds_no_inputs_and_labels_says_what_it_holds(data: bytes, sentence: str):
    with pytest.raises(UnreadableWork) as caught:
        accuracy.read(data, "data.npz")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("data.npz: ")


def test_a_file_that_grows_beyond_measure_is_not_unpacked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accuracy, "_MOST_BYTES", 100_000)
    data = io.BytesIO()
    np.savez_compressed(data, x=np.zeros((10_000, 4)), y=np.zeros(10_000, int))
    assert len(data.getvalue()) < 10_000
    with pytest.raises(UnreadableWork, match=r"it has 400,256 bytes when unpacked; 100,000 are the most."):
        accuracy.read(data.getvalue(), "data.npz")


def test_labels_may_stand_in_a_column():
    samples = accuracy.read(packed(x=X, y=Y.reshape(3, 1)), "data.npz")
    assert samples.y.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("hits", "of", "interval"),
    [
        (0, 10, (0.0, 0.277533)),
        (10, 10, (0.722467, 1.0)),
        (5, 10, (0.236593, 0.763407)),
        (90, 100, (0.825634, 0.944771)),
    ],
)
def test_an_interval_is_wilson_s(hits: int, of: int, interval: tuple[float, float]):
    assert accuracy.wilson(hits, of) == pytest.approx(interval, abs=2e-6)


# --- One box for one question ----------------------------------------------------------------------------------------


def test_a_question_is_asked_once_for_all_boards():
    asked: list[object] = []

    def inside(words, files):
        asked.append((tuple(words), files))
        return Finished(returncode=0, stdout=str(len(asked)).encode(), stderr=b"")

    ask = measuring._remembering(inside)
    answers = [ask(words, files).stdout for words, files in ((["a"], {"m": b"1"}), (["a"], {"m": b"1"}))]
    others = [ask(words, files).stdout for words, files in ((["b"], {"m": b"1"}), (["a"], {"m": b"2"}), (["a"], {}))]
    assert answers == [b"1", b"1"]
    assert others == [b"2", b"3", b"4"]


def test_a_machine_that_cannot_time_now_leaves_the_other_figures(monkeypatch: pytest.MonkeyPatch):
    def noisy(*_):
        raise MachineError("the machine is too noisy.", fix="close other programs.")

    monkeypatch.setattr(measuring.engines, "compare", noisy)
    found = measuring._timed(b"", b"", measuring.profiles.load("b-u585i"), lambda words, files: None)
    assert (found.metric, found.value, found.profile) == ("latency_ratio", "unknown", "b-u585i")
    assert found.note == "the machine is too noisy. close other programs."


def test_a_timed_ratio_stands_in_place_of_that_of_two_latencies():
    def latency(value: float) -> Measurement:
        return Measurement(metric="latency_ms", value=value, unit="ms", engine="host", profile="a")

    timed = Measurement(metric="latency_ratio", value=0.4, unit="", engine="host", profile="a", interval=(0.3, 0.5))
    found = list(measuring._comparisons([latency(1.0)], [latency(2.0)], [timed], "ref"))
    assert found == [timed]
    assert [each.value for each in measuring._comparisons([latency(1.0)], [latency(2.0)], [], "ref")] == [0.5]


# --- The command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose largest output is that of its largest input, its float original, and inputs with labels."""
    made = tmp_path_factory.mktemp("models")
    (made / "model.tflite").write_bytes(models.dense(3, 3, matrix=np.eye(3, dtype=np.int8) * 8))
    (made / "float.tflite").write_bytes(models.dense_float(3, 3))
    (made / "junk.tflite").write_bytes(b"junk" * 100)
    x = np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1, 2, 0]]
    np.savez(made / "data.npz", x=x, y=np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 1]))
    np.savez(made / "wide.npz", x=np.ones((2, 5)), y=np.array([0, 1]))
    np.savez(made / "many.npz", x=np.ones((2, 3)), y=np.array([0, 3]))
    return made


@pytest.mark.box
def test_everything_at_once_is_one_document_and_two_pictures(folder: Path, tmp_path: Path):
    chart, bars = tmp_path / "chart.svg", tmp_path / "bars.svg"
    chart.write_text("older")
    words = ("measure", folder / "model.tflite", *on(*BOARDS), "--against", folder / "float.tflite")
    words += ("--data", folder / "data.npz", "--chart", chart, "--bars", bars)
    document = json.loads(invoke(*words, "--json"))
    assert document["schema"] == "coursekit/measurements/v1"
    found = {(each.metric, each.profile): each for each in msgspec.convert(document["measurements"], list[Measurement])}
    accurate = found["accuracy", None]
    assert (accurate.value, accurate.interval) == (0.9, accuracy.wilson(9, 10))
    assert accurate.note == "9 of 10 inputs right"
    breakdowns = msgspec.convert(document["breakdowns"], list[Breakdown])
    assert [(each.profile, each.parts[0].operator) for each in breakdowns] == [
        (name, "FULLY_CONNECTED") for name in BOARDS
    ]
    ratios = {(each["metric"], each["profile"]): each["value"] for each in document["comparisons"]}
    sizes = [(folder / name).stat().st_size for name in ("model.tflite", "float.tflite")]
    assert ratios["file_ratio", None] == round(sizes[0] / sizes[1], 6)
    assert ratios["macs_ratio", None] == 1
    assert {("latency_ratio", name) for name in BOARDS} <= set(ratios)
    assert "accuracy_drop_points" in {each["metric"] for each in document["comparisons"]}
    for file in (chart, bars):
        assert ET.parse(file).getroot().get("role") == "img"


@pytest.mark.box
def test_a_model_with_its_accuracy_fits_eighty_columns_and_says_what_was_drawn(folder: Path, tmp_path: Path):
    chart = tmp_path / "chart.svg"
    words = ("measure", folder / "model.tflite", *on("b-u585i"), "--data", folder / "data.npz", "--chart", chart)
    table = invoke(*words)
    assert f"Drawn: {chart}" in table
    assert max(map(len, table[: table.index("Drawn")].splitlines())) <= 80
    assert "0.9 (95 %: 0.5958 to 0.9821)" in table
    assert "on b-u585i, operator by operator" in table


@pytest.mark.box
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--against", "none.tflite"), "none.tflite: there is no such file."),
        (("--against", "junk.tflite"), "junk.tflite: Your model is not a TensorFlow Lite file."),
        (("--data", "none.npz"), "none.npz: there is no such file."),
        (("--data", "."), "it is not an ordinary file."),
        (("--data", "wide.npz"), "Your model takes inputs of shape 3; it was fed 5."),
        (("--data", "many.npz"), "y has the label 3, and the model has 3 classes, from 0."),
        (("--profile", "b-u585"), "there is no profile called 'b-u585'."),
        (("--chart", "chart.svg"), "A chart needs a --profile."),
        (("--profile", "b-u585i", "--chart", "model.tflite"), "must end in .svg"),
        (("--profile", "b-u585i", "--chart", "none/chart.svg"), "there is no folder"),
        (("--profile", "b-u585i", "--chart", "a.svg", "--bars", "a.svg"), "need a file each"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], sentence: str
):
    monkeypatch.chdir(folder)
    assert sentence in invoke("measure", "model.tflite", *words, fails=True)


def test_a_chart_that_cannot_be_written_is_the_machine_s_move(tmp_path: Path):
    (tmp_path / "chart.svg").mkdir()
    found = measuring.Measured(
        model="m.tflite",
        profiles=("a",),
        measurements=(Measurement(metric="file_bytes", value=1, unit="bytes", engine="flatbuffer"),),
    )
    with pytest.raises(MachineError, match=r"chart.svg: it cannot be written: Is a directory"):
        measuring.draw(found, chart=tmp_path / "chart.svg")


@pytest.mark.box
def test_a_course_s_own_profile_is_found_in_it_and_by_name(folder: Path, tmp_path: Path):
    own = tmp_path / "autograder" / "profiles"
    own.mkdir(parents=True)
    (tmp_path / "assignments").mkdir()
    (tmp_path / "assignments" / "course.yaml").write_text("title: Small machines\n")
    packaged = Path(measuring.profiles.__file__).parent / "b-u585i.yaml"
    (own / "ours.yaml").write_text(packaged.read_text().replace("name: b-u585i", "name: ours"))
    shutil.copy(folder / "model.tflite", tmp_path)

    def said(*words: str, folder: Path, code: int = 0) -> str:
        done = subprocess.run([COMMAND, *words], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert "\nours " in said("profiles", folder=tmp_path)
    assert "On ours" in said("measure", "model.tflite", "--profile", "ours", folder=tmp_path)
    assert "B-U585I" in said("profiles", "show", "ours", "--course", str(tmp_path), folder=folder)
    assert "there is no profile called 'ours'" in said("profiles", "show", "ours", folder=folder, code=4)
    assert "there is no course here" in said("profiles", "--course", str(folder), folder=tmp_path, code=4)


@pytest.mark.box
def test_the_same_file_gives_the_same_figures_on_all_boards_in_any_order_whatever_else_runs(tmp_path: Path):
    model = tmp_path / "model.tflite"
    model.write_bytes(models.digit_reader())
    names = profiles.names()

    def figures(boards: list[str], seed: str) -> tuple[set[bytes], list[object]]:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        said = subprocess.check_output([COMMAND, "measure", model, "--json", *on(*boards)], env=environment)
        found = json.loads(said)
        return {msgspec.json.encode(each) for each in found["measurements"]}, found["breakdowns"]

    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        one, layers = figures(names, "1")
    finally:
        for process in busy:
            process.kill()
            process.wait()
    two, others = figures(names[::-1], "2")
    assert one == two
    assert layers == others[::-1]
    assert {"latency_ms", "arena_bytes", "npu_cycles", "tpu_operators"} <= {json.loads(each)["metric"] for each in one}
