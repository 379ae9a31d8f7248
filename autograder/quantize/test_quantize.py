"""Hidden checks of `quantize`: the quantizer on other inputs, and whether the int8 model is what it claims to be.

Hints tell the kind of an input and the mistake, never the input: hidden inputs stay hidden. Figures in them are for
whoever reads the log; students see … in their place, since a function could tell by them what it was asked.
"""

import numpy as np
import pytest

from coursekit.wire import Array

SLACK = 1.001
"""Float32 arithmetic may land a hair beyond half a step."""


def there_and_back(kernel, x):
    """The scale of the student's ruler for x, and x after it was put on the ruler and taken off: (scale, restored)."""
    scale, zero_point = kernel.call("choose_parameters", x, returns=(float, int))
    q = kernel.call("quantize", x, scale, zero_point, returns=Array("int8", x.shape))
    restored = kernel.call("dequantize", q, scale, zero_point, returns=Array(shape=x.shape))
    return scale, restored


@pytest.mark.points(4, id="roundtrip")
def test_roundtrip(kernel, rng):
    """There and back again, every number is within half a step of where it began."""
    normal = rng.normal(size=(4, 16)).astype(np.float32)
    kinds = {
        "around zero": normal,
        "above zero": np.abs(normal),
        "below zero": -np.abs(normal),
        "far off": 3 * normal - 20,
    }
    for kind, x in kinds.items():
        scale, restored = there_and_back(kernel, x)
        widest = (max(x.max(), 0) - min(x.min(), 0)) / 254
        assert 0 < scale <= SLACK * widest, (
            f"For values {kind}, the ruler is {scale / widest:.3f} times as wide as need be."
        )
        worst = np.abs(restored.astype(np.float64) - x).max() / scale
        assert worst <= 0.5 * SLACK, (
            f"For values {kind}, the worst error is {worst:.2f} steps; rounding costs 0.5 at most. "
            "Look at how quantize rounds, and at the type in which dequantize subtracts."
        )


@pytest.mark.points(3, id="zero")
def test_zero(kernel, rng):
    """0.0 comes back as exactly 0.0, even from tensors that never cross zero."""
    for kind, low, high in (("above", 2.0, 6.0), ("below", -9.0, -3.0), ("on both sides of", -0.7, 1.9)):
        x = rng.uniform(low, high, size=50).astype(np.float32)
        scale, zero_point = kernel.call("choose_parameters", x, returns=(float, int))
        assert -128 <= zero_point <= 127, (
            f"When all values lie {kind} zero, your zero point is {zero_point}, no int8. Does the ruler include 0?"
        )
        q = kernel.call("quantize", np.zeros(5, np.float32), scale, zero_point, returns=Array("int8", (5,)))
        restored = kernel.call("dequantize", q, scale, zero_point, returns=Array(shape=(5,)))
        back = restored[np.flatnonzero(restored)[:1]]
        assert not restored.any(), f"When all values lie {kind} zero, 0.0 does not come back as 0.0 but as {back}."


@pytest.mark.points(2, id="flat")
def test_flat(kernel):
    """A tensor whose values are all the same gets a usable scale."""
    for kind, value in (("zero", 0.0), ("the same number above zero", 2.5), ("the same number below zero", -0.125)):
        x = np.full(16, value, np.float32)
        scale, zero_point = kernel.call("choose_parameters", x, returns=(float, int))
        assert scale > 0, f"When every value is {kind}, your scale is {scale}, and quantize will divide by it."
        q = kernel.call("quantize", x, scale, zero_point, returns=Array("int8", (16,)))
        restored = kernel.call("dequantize", q, scale, zero_point, returns=Array(shape=(16,)))
        worst = np.abs(restored.astype(np.float64) - value).max()
        assert worst <= 0.01 * abs(value), (
            f"When every value is {kind}, it comes back wrong. Which span has the ruler, and do both ends survive?"
        )


def per_channel(kernel, w):
    """The student's symmetric quantization of w: (q, scales)."""
    spec = (Array("int8", w.shape), Array(shape=(w.shape[-1],)))
    q, scales = kernel.call("quantize_per_channel", w, returns=spec)
    assert (scales > 0).all(), f"A scale is a distance, and the smallest of yours is {scales.min()}."
    return q, scales.astype(np.float64)


@pytest.mark.points(4, id="per_channel")
def test_per_channel(kernel, rng):
    """Each channel is symmetric, fills its ruler and is within half a step of its own scale."""
    for shape in ((3, 3, 8, 16), (40, 10)):
        w = (rng.normal(size=shape) * rng.uniform(0.5, 2.0, size=shape[-1])).astype(np.float32)
        q, scales = per_channel(kernel, w)
        channels = tuple(range(w.ndim - 1))
        assert q.min() >= -127, "A symmetric ruler ends at -127; -128 has no partner on the other side."
        peaks = np.abs(q.astype(int)).max(axis=channels)
        assert peaks.min() == 127, f"In one channel the largest weight lands on {peaks.min()}. Is its scale its own?"
        worst = (np.abs(q * scales - w) / scales).max()
        assert worst <= 0.5 * SLACK, f"Some weight is {worst:.2f} steps of its channel off; rounding costs 0.5 at most."


@pytest.mark.points(4, id="outliers")
def test_outliers(kernel, rng):
    """One loud channel, or one that is all zeros, costs the other channels nothing."""
    w = rng.normal(size=(3, 3, 4, 8)).astype(np.float32)
    loud, dead = rng.choice(8, size=2, replace=False)
    w[..., loud] *= 100
    w[..., dead] = 0
    q, scales = per_channel(kernel, w)
    quiet = np.delete(np.arange(8), [loud, dead])
    error = np.abs(q * scales - w)[..., quiet].mean()
    one_scale = np.abs(w).max() / 127
    at_one_scale = np.abs(np.rint(w / one_scale) * one_scale - w)[..., quiet].mean()
    assert error < at_one_scale / 20, "A channel that is 100 times louder coarsens the scales of its neighbours."
    assert not q[..., dead].any(), "A channel of zeros does not stay zero."


@pytest.mark.points(8, id="int8_only")
def test_int8_only(model):
    """The model takes int8, gives int8, and holds no float tensor in between."""
    ends = model.measure("io_dtypes").value
    assert ends == "int8 -> int8", f"It takes and gives {ends}. The converter has a setting of its own for each end."
    inside = set(model.measure("dtypes").value.split(", "))
    assert inside <= {"int8", "int32"}, (
        f"It holds tensors of {', '.join(sorted(inside))}. Which operators did you allow the converter to use?"
    )


@pytest.mark.points(6, id="same_network")
def test_same_network(model, baseline):
    """The int8 model is your float network, quantized: no copy of it, and no smaller one."""
    for metric, share, word in (("macs", 0.01, "multiplications"), ("parameters", 0.02, "parameters")):
        ours, theirs = (one.measure(metric).value for one in (model, baseline))
        assert isinstance(ours, int), f"Its {word} cannot be counted: it holds operators that your float model has not."
        assert abs(ours - theirs) <= share * theirs, (
            f"It has {ours:,} {word}, and your float model has {theirs:,}. "
            "Convert the network you trained; a narrower one is chosen with FILTERS, for both."
        )
    ours, theirs = (one.measure("weight_bytes").value for one in (model, baseline))
    assert 3 * ours <= theirs, f"Its weights take {ours:,} bytes, and in float they took {theirs:,}: they are not int8."
