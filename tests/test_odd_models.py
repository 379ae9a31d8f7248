"""What a student reads of a model that is damaged, doctored, or honest and unusual: a figure that holds, or why not.

No figure may miss work that is done: what cannot be counted is unknown, and what was never measured is not graded.
"""

from __future__ import annotations

import pytest

import crowd
import models
import odd_models as odd
from coursekit import measure, profiles
from coursekit.errors import UnreadableWork
from coursekit.measure.inside import counting
from coursekit.measure.inside.claims import claims, idle
from coursekit.measure.inside.cycles import work
from coursekit.measure.inside.flatbuffer import anatomy
from coursekit.measure.inside.graph import read
from coursekit.measure.inside.work import largest_bytes, steps
from coursekit.records import Measurement, RunInside

BOARD = profiles.load("nucleo-l4r5zi")
ASKED = ("file_bytes", "macs", "latency_ms", "arena_bytes", "litert_runs")

LATENCY = "Your model has no latency on nucleo-l4r5zi: "
MACS = "The multiply-accumulates cannot be counted, because "
WORK = f"{LATENCY}Its work cannot be counted, because "
ARENA = "TensorFlow Lite Micro cannot run this model: "
UNGRADED = "Not graded on nucleo-l4r5zi: "


def unknown(reason: str, *, runs: str = "yes") -> dict[str, str]:
    """What is read where a claim in the file does not hold."""
    return {
        "macs": f"{MACS}{reason}.",
        "latency_ms": f"{WORK}{reason}.",
        "arena_bytes": f"{ARENA}{reason}.",
        "litert_runs": runs,
    }


def uncounted(name: str, **others: object) -> dict[str, object]:
    """What is read of a model with an operator that calls a subgraph."""
    why = f"The multiply-accumulates of {name} cannot be counted."
    return {"macs": why, "latency_ms": f"{LATENCY}{why}", "litert_runs": "yes", **others}


def foreign(name: str) -> dict[str, str]:
    """What is read of a model with an operator that is not LiteRT's."""
    return {
        "macs": f"The multiply-accumulates of custom operators cannot be counted: {name}.",
        "latency_ms": f"{LATENCY}The work of custom operators cannot be counted: {name}.",
        "arena_bytes": f"{ARENA}it has no {name}.",
        "litert_runs": f"Your model uses operators that LiteRT does not have: {name}.",
    }


OVERFLOW = (
    "tflite/util.cc BytesRequired number of elements overflowed. Tensor 0 is invalidly specified in schema. "
    "tflite/util.cc BytesRequired number of elements overflowed. Tensor 3 is invalidly specified in sc"
)
NO_CALL = "Didn't find op for builtin opcode 'CALL'"
IDLE = "it computes nothing: its outputs are its inputs, or do not depend on them"
IDLE_READ = {"macs": f"{MACS}{IDLE}.", "latency_ms": f"{LATENCY}It has no work, because {IDLE}.", "litert_runs": "yes"}
SPATIAL = "its input 'x' has no fixed size: its shape is ?x?x?x1"

READ: dict[str, tuple[bytes, dict[str, object] | str]] = {
    # several subgraphs
    "a second signature": (odd.two_signatures(), {"macs": 12, "latency_ms": 0.107, "litert_runs": "yes"}),
    "IF": (odd.branching(), uncounted("IF", arena_bytes=1600)),
    "WHILE": (odd.looping(), uncounted("WHILE", arena_bytes=1264)),
    "CALL": (
        odd.calling(),
        uncounted("CALL", arena_bytes=f"{ARENA}LiteRT cannot run it: {NO_CALL}", litert_runs=NO_CALL),
    ),
    # sizes that are not fixed
    "an open batch": (
        odd.open_convolution((1, 8, 8, 1), (-1, 8, 8, 1)),
        {"macs": 2304, "latency_ms": 0.37, "arena_bytes": 1344, "litert_runs": "yes"},
    ),
    "an open image": (odd.open_convolution((1, 1, 1, 1), (-1, -1, -1, 1)), unknown(SPATIAL)),
    "a batch of none": (
        odd.open_convolution((0, 8, 8, 1), (-1, 8, 8, 1)),
        unknown("its input 'x' has no values: its shape is 0x8x8x1"),
    ),
    "a size from values": (
        odd.tiled_by_input(),
        unknown("the size of 'y', which TILE makes, depends on the values that the model is given"),
    ),
    "as many as are true": (
        odd.where(),
        unknown("the size of 'y', which WHERE makes, depends on the values that the model is given"),
    ),
    # operators that are not LiteRT's
    "a custom operator": (models.custom("Mine"), foreign("Mine")),
    "a Flex operator": (models.custom("FlexErf"), foreign("FlexErf")),
    # absurd shapes
    "sizes past 64 bits": (
        odd.overflowing(),
        {
            "macs": f"{MACS}LiteRT cannot run it: {OVERFLOW}.",
            "latency_ms": f"{WORK}LiteRT cannot run it: {OVERFLOW}.",
            "arena_bytes": f"{ARENA}LiteRT cannot run it: {OVERFLOW}.",
            "litert_runs": f"LiteRT cannot run your model: {OVERFLOW}.",
        },
    ),
    "2,147,483,647 values": (
        odd.stated(odd.HUGE),
        {
            "macs": f"{MACS}LiteRT cannot run it: RuntimeError, without a reason.",
            "latency_ms": f"{WORK}LiteRT cannot run it: RuntimeError, without a reason.",
            "arena_bytes": f"{ARENA}LiteRT cannot run it: RuntimeError, without a reason.",
            "litert_runs": "LiteRT cannot run your model: RuntimeError, without a reason.",
        },
    ),
    "a negative size": (odd.stated(-1, 4), "Your model is damaged: a tensor has a negative size."),
    "a size of zero": (odd.stated(1, 0, 4), unknown("its input 'x' has no values: its shape is 1x0x4")),
    "a single number": (odd.stated(), {"macs": 0, "latency_ms": 0.109, "arena_bytes": 832, "litert_runs": "yes"}),
    "nine dimensions": (
        odd.stated(*[1] * 9),
        {"macs": 0, "latency_ms": 0.109, "arena_bytes": 832, "litert_runs": "yes"},
    ),
    # buffers that do not fit
    "too few weights": (odd.stored(5), "Your model is damaged: the weights 'w' do not have their shape's size."),
    "too many weights": (odd.stored(100), "Your model is damaged: the weights 'w' do not have their shape's size."),
    # order
    "a circle": (odd.read_too_early(), unknown("ADD reads 'b' before it is made")),
    "made twice": (
        odd.made_twice(),
        unknown("TILE makes 'y', which is there already", runs="Your model makes LiteRT crash (SIG"),
    ),
    "an output that is stored too": (
        odd.made_and_stored(),
        unknown("FULLY_CONNECTED makes 'y', which is there already"),
    ),
    "1,000 operators": (odd.chain(1000), {"macs": 0, "latency_ms": 107.503, "litert_runs": "yes"}),
    "200,000 operators": (odd.repeated(20_000), "Your model has more than 20,000 operators."),
    "one operator 100,000 times": (
        odd.one_operator_again_and_again(100_000),
        "Your model has more than 20,000 operators.",
    ),
    "one operator twice": (odd.one_operator_again_and_again(2), unknown("RELU makes 'y', which is there already")),
    "long lists": (odd.with_long_lists(900_000), "Your model has more than 4,000,000 numbers in its lists."),
    # nothing computed
    "a stored answer": (odd.idle(), IDLE_READ),
    "an input given back": (odd.passing(), IDLE_READ),
    "an input renamed": (odd.renaming(), IDLE_READ),
    # work that does not look like it
    "a layer that nothing reads": (odd.with_a_dead_layer(), {"macs": 12 + 400, "latency_ms": 0.268}),
    "an understated shape": (
        models.convolution(8, 4, stated=(1, 1, 1, 4)),
        {
            "macs": 2304,
            "latency_ms": 0.37,
            "arena_bytes": f"{ARENA}the file states for 'y' the shape 1x1x1x4, and running it gives 1x8x8x4.",
        },
    ),
    "a layer as MUL and SUM": (
        odd.multiplied_by_hand(16, 8),
        {
            "macs": f"{MACS}it multiplies more outside its layers (MUL: 128 products) than in them (0).",
            "latency_ms": UNGRADED,
        },
    ),
    "32-bit arithmetic on values": (odd.counted_in_32_bits(), {"macs": 0, "latency_ms": UNGRADED}),
    "weights in 16 bits": (odd.halved(), {"macs": 12, "latency_ms": UNGRADED}),
    "a window as large as the image": (odd.pooled_squares(), {"latency_ms": UNGRADED}),
    "a resize to 64 by 64": (odd.resized(), {"latency_ms": UNGRADED, "arena_bytes": 4960}),
    "a PAD that is cut off": (odd.padded_and_cut(), {"latency_ms": UNGRADED, "arena_bytes": 263_248}),
    # weights
    "int4 weights": (odd.four_bits(), {"macs": 12, "latency_ms": UNGRADED, "arena_bytes": 1024, "litert_runs": "yes"}),
    "sparse weights made dense": (
        odd.densified(),
        {"macs": 512, "latency_ms": UNGRADED, "arena_bytes": f"{ARENA}it has no DENSIFY."},
    ),
    "sparse weights": (
        odd.sparse(honest=True),
        {"macs": f"{MACS}LiteRT cannot run it: Unsupported sparse fully-connected weight format."},
    ),
    "dense weights said to be sparse": (
        odd.sparse(honest=False),
        {"macs": f"{MACS}LiteRT cannot run it: Unsupported sparse fully-connected weight format."},
    ),
    "channels of zeros": (odd.pruned(removed=False), {"macs": 2304, "latency_ms": 0.37}),
    "channels of zeros removed": (odd.pruned(removed=True), {"macs": 1152, "latency_ms": 0.245}),
}


@pytest.fixture(scope="module")
def endings() -> crowd.Endings:
    return crowd.endings(model for model, _ in READ.values())


def read_by_a_student(found: Measurement) -> object:
    """A figure that may be graded as its value; any other, and a `no`, as the note that stands beside it."""
    return found.note if found.status == "uncalibrated" or found.value in {"unknown", "no"} else found.value


@pytest.mark.box
@pytest.mark.parametrize("name", READ)
def test_what_a_student_reads(name: str, endings: crowd.Endings):
    model, expected = READ[name]
    inside = crowd.answering(endings)
    if isinstance(expected, str):
        with pytest.raises(UnreadableWork) as caught:
            measure.measure(model, BOARD, inside)
        assert caught.value.what == expected
        return
    found = all_figures(model, inside)
    assert found["file_bytes"] == len(model)
    for metric, value in expected.items():
        if isinstance(value, str):
            assert str(found[metric]).startswith(value) or value in str(found[metric])
        else:
            assert found[metric] == value


def all_figures(model: bytes, inside: RunInside) -> dict[str, object]:
    """Give what is read of all figures; where a program crashes and so speaks for all of them, of each alone."""
    try:
        return {each.metric: read_by_a_student(each) for each in measure.measure(model, BOARD, inside)}
    except UnreadableWork:
        return {metric: alone(model, metric, inside) for metric in ASKED}


def alone(model: bytes, metric: str, inside: RunInside) -> object:
    try:
        return measure.measure(model, BOARD, inside, [metric])[0].value
    except UnreadableWork as error:
        return error.what


# --- Counted without a box -------------------------------------------------------------------------------------------


def counted(model: bytes) -> list[dict[str, int]]:
    """Give the work of each operator by the shapes that the file states."""
    graph = read(model)
    return [step.work for step in steps(graph, counting.declared_shapes(graph))]


def test_every_subgraph_has_its_operators_and_its_zero_channels_counted():
    found = anatomy(odd.two_signatures())
    assert (found.operators, found.weight_bytes) == (2, 12 + 12 + 5000 + 200)
    assert anatomy(odd.looping()).operators == 3


def test_sparse_weights_weigh_what_they_weigh_when_they_are_dense():
    dense = anatomy(odd.plain())
    for model in (odd.sparse(honest=True), odd.sparse(honest=False), odd.densified()):
        found = anatomy(model)
        assert (found.weight_bytes, found.parameters) == (dense.weight_bytes, dense.parameters)


def test_zero_channels_are_reported_and_credited_only_when_they_are_gone():
    kept, removed = anatomy(odd.pruned(removed=False)), anatomy(odd.pruned(removed=True))
    assert (kept.zero_channels, removed.zero_channels) == (2, 0)
    assert kept.macs == 2 * removed.macs
    whole = anatomy(models.convolution(8, 4))
    assert (kept.macs, kept.weight_bytes) == (whole.macs, whole.weight_bytes)


def test_arithmetic_on_values_is_no_arithmetic_on_shapes():
    assert all("shape_steps" not in work for work in counted(odd.counted_in_32_bits(3)))


def test_a_sum_over_a_constant_reads_all_of_it():
    assert counted(odd.summed_constant(10_000))[0]["mean_values"] == 10_000


def test_a_pool_of_a_kind_without_a_price_counts_its_window():
    assert counted(odd.pooled_squares(32))[0]["other_values"] == 32**2 + 32**2 * 32**2


def test_a_padded_tensor_counts_unless_only_a_layer_that_pads_reads_it():
    graph = read(odd.padded_and_cut(512))
    assert largest_bytes(graph, counting.declared_shapes(graph)) == 512 * 512


def test_operators_whose_work_does_not_follow_from_sizes_have_none_that_is_counted():
    tensors = [odd.int8("x", 1, 8, 8, 4), odd.int8("y", 1, 8, 8, 4)]
    model = models.build(tensors, [models.Operator(name="LOCAL_RESPONSE_NORMALIZATION", inputs=(0,), outputs=(1,))])
    assert work(model).refusal == "The work of LOCAL_RESPONSE_NORMALIZATION cannot be counted."


def test_a_claim_that_holds_is_no_reason():
    for model in (models.dense(), models.convolution(), models.added(), odd.branching(), odd.looping(), odd.halved()):
        graph = read(model)
        assert (claims(graph), idle(graph)) == ("", "")


def test_a_model_that_writes_the_weights_dimension_on_a_bias_is_read_as_it_was_meant():
    model = odd.with_a_wrong_dimension()
    assert anatomy(model).macs == 12
