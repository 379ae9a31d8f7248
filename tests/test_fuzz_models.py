"""Models that no converter wrote: read as they are, or refused in one sentence, and never for long."""

import io
import struct
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder
from hypothesis import strategies as st

import crowd
import models
import odd_models
from coursekit import measure, profiles
from coursekit.errors import CoursekitError, ToolError, UnreadableWork
from coursekit.measure import accuracy, documents, litert
from coursekit.measure.asking import decode
from coursekit.measure.inside import claims, graph
from fuzzing import fuzzed
from made_up import JUNK, as_bytes, assert_one_sentence, changed, damaged

WHOLES = [
    models.dense(4, 3),
    models.convolution(8, 4),
    models.dense_float(),
    models.added(),
    models.custom(),
    odd_models.two_signatures(),
    odd_models.branching(),
    odd_models.four_bits(),
    odd_models.densified(),
    odd_models.tiled_by_input(),
]

# --- Models changed by what they mean: a table's field, not a byte ----------------------------------------------------

ODD = st.sampled_from(
    [0, -1, 1, 2, 3, 7, 127, -128, 255, 65_535, 2**31 - 1, -(2**31), 1_000_000, 0.0, -1.0, 1e38, None]
)
FIELDS = st.lists(
    st.tuples(st.integers(0, 2**20), st.sampled_from(["put", "put", "drop", "twice", "swap"]), ODD),
    min_size=1,
    max_size=4,
)
REMADE = st.tuples(st.sampled_from(range(len(WHOLES))), FIELDS)


def remade(number, edits):
    """The model with other values in some of its tables' fields; as it was where it cannot be written so."""
    whole = schema.ModelT.InitFromPackedBuf(WHOLES[number], 0)
    for at, kind, value in edits:
        places = list(fields(whole))
        holder, name = places[at % len(places)]
        held = holder[name] if isinstance(holder, list) else getattr(holder, name)
        if isinstance(held, np.ndarray):
            held = held.tolist()
        if isinstance(held, list) and kind == "drop":
            new = held[1:]
        elif isinstance(held, list) and kind == "twice":
            new = [*held, *held]
        elif isinstance(held, list) and kind == "swap":
            new = held[::-1]
        elif isinstance(held, list):
            new = [value if isinstance(each, int | float) and value is not None else each for each in held]
        elif isinstance(held, int | float | type(None)):
            new = value
        else:
            continue
        if isinstance(holder, list):
            holder[name] = new
        else:
            setattr(holder, name, new)
    packed = Builder(1024)
    try:
        packed.Finish(whole.Pack(packed), b"TFL3")
    except (struct.error, TypeError, AttributeError, OverflowError, ValueError):
        return WHOLES[number]
    return bytes(packed.Output())


def fields(table, depth=0):
    """Every field of every table, as (what holds it, its name or place)."""
    named = table if isinstance(table, list) else vars(table)
    for name in range(len(named)) if isinstance(table, list) else sorted(named):
        value = named[name]
        if not isinstance(value, bytes | str):
            yield table, name
        if depth < 8 and (
            (isinstance(value, list) and value and hasattr(value[0], "__dict__")) or hasattr(value, "Pack")
        ):
            yield from fields(value, depth + 1)


MODELS = st.one_of(damaged(WHOLES), REMADE.map(lambda drawn: remade(*drawn)))


@fuzzed("models", MODELS, examples=250, weight=2)
def test_a_made_up_model_is_read_or_refused_in_one_sentence(data):
    try:
        measure._refuse_other_files(data)
        found = graph.read(data)
        said = claims.claims(found)
    except UnreadableWork as error:
        assert_one_sentence(error)
        return
    assert len(said) < 1_000
    assert len(found.subgraphs) >= 1
    assert all(len(name) <= 80 for name in found.custom_operators)


# --- What programs in a box answer ------------------------------------------------------------------------------------

ANATOMY = {
    "type": "anatomy",
    "weight_bytes": 1,
    "parameters": 1,
    "operators": 1,
    "macs": None,
    "macs_note": "",
    "zero_channels": 0,
    "float_tensors": 0,
    "dtypes": ["int8"],
    "inputs": [],
    "outputs": [],
    "custom_operators": [],
}
RUNS = {"type": "runs", "inputs": [[1, 4]], "outputs": [[1, 3]]}
WORK = {"type": "work", "steps": [{"operator": "ADD", "name": "x", "work": {"macs": 3}}], "largest_bytes": 3}
PROBLEM = {"type": "problem", "what": "It is not one.", "fix": ""}
DOCUMENTS = documents.Anatomy | documents.Runs | documents.Work | documents.CannotRun


@fuzzed("answers", st.one_of(*map(changed, (ANATOMY, RUNS, WORK, PROBLEM)), JUNK.map(as_bytes)), examples=200)
def test_what_a_program_in_a_box_prints_is_a_document_or_a_sentence(printed):
    try:
        found = decode(printed, DOCUMENTS, "the reader")
    except CoursekitError as error:
        assert_one_sentence(error)
        return
    assert isinstance(found, DOCUMENTS)


def _saved(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"
SHAPES = st.sampled_from(
    ["2, 3", "2, -1", "9" * 30, "2, " + "9" * 19, "2,", "", "2, 3, " * 40, "'a', 2", "[2]", "(" * 300]
)


def headed(shape):
    text = (HEADER % shape).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(24)


@fuzzed("outputs-npy", st.one_of(damaged([_saved(np.ones((2, 3), np.float32))]), SHAPES.map(headed)), examples=150)
def test_outputs_from_a_box_are_an_array_of_that_many_rows_or_a_sentence(data):
    try:
        found = litert._outputs(data, 2)
    except (ToolError, UnreadableWork) as error:
        assert_one_sentence(error)
        return
    assert found.dtype == np.float32
    assert len(found) == 2


def packed(**arrays):
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


SAMPLES = [packed(x=np.ones((3, 2), np.float32), y=np.arange(3)), packed(x=np.ones(3)), packed(z=np.ones(1))]


def zipped(shape):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name in ("x.npy", "y.npy"):
            made.writestr(name, headed(shape))
    return out.getvalue()


@fuzzed("samples", st.one_of(damaged(SAMPLES), SHAPES.map(zipped)), examples=80)
def test_a_file_of_samples_is_inputs_and_labels_or_a_sentence(data):
    try:
        found = accuracy.read(data, "data.npz")
    except UnreadableWork as error:
        assert_one_sentence(error)
        return
    assert len(found.x) == len(found.y)


# --- Where models are opened ------------------------------------------------------------------------------------------

BOARD = profiles.load("nucleo-l4r5zi")
MANY = 16


@pytest.mark.box
@fuzzed(
    "models",
    st.lists(MODELS, min_size=MANY, max_size=MANY),
    examples=2,
    weight=6,
    slow=True,
    write=bytes,
    read=lambda data: [data],
)
def test_every_program_in_a_box_answers_for_a_made_up_model_with_figures_or_one_sentence(batch):
    known = crowd.endings(batch)
    for (model, program), ended in known.items():
        try:
            assert ended.returncode <= 0, ended.stderr[-300:]
            assert not ended.stopped, program
            said(model, program, known)
        except Exception as error:
            error.culprit = model
            raise


def said(model, program, known):
    try:
        figures = measure.engines()[program].measure(model, BOARD, crowd.answering(known))
    except UnreadableWork as error:
        assert_one_sentence(error)
        return
    assert all(isinstance(each.value, str) or np.isfinite(each.value) for each in figures)


def test_a_model_is_remade_by_its_tables():
    kept = remade(0, [(3, "put", None)])
    assert kept[4:8] == b"TFL3"
    assert len({remade(0, [(at, "put", 7)]) for at in range(60)}) > 10
