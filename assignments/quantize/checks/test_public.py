"""Public checks of `quantize`: what `coursekit check` asks while you work. The hidden checks ask more."""

import numpy as np
import pytest

from coursekit.wire import Array


@pytest.mark.points(3, id="parameters")
def test_parameters(kernel, rng):
    """The ruler runs from the smallest value of x at -128 to the largest at 127."""
    for low, high in ((-1.0, 1.0), (-0.3, 6.0), (-40.0, 2.5)):
        x = rng.uniform(low, high, size=200).astype(np.float32)
        scale, zero_point = kernel.call("choose_parameters", x, returns=(float, int))
        span = float(x.max()) - float(x.min())
        assert scale > 0, f"A scale is a distance, and {scale} is none."
        assert abs(255 * scale / span - 1) < 0.002, (
            f"The values span {span:.4f}, and your scale is {scale:.6f}. How many steps lie between 256 marks?"
        )
        first = (-128 - zero_point) * scale
        assert abs(first - float(x.min())) <= scale, (
            f"The smallest value is {float(x.min()):.3f}, but your mark -128 stands for {first:.3f}."
        )


@pytest.mark.points(3, id="rounding")
def test_rounding(kernel, rng):
    """quantize picks the nearest mark, above or below, on both sides of zero."""
    scale, zero_point = 0.05, 3
    marks = rng.integers(-100, 100, size=64)
    beside = rng.uniform(0.1, 0.4, size=64) * rng.choice([-1, 1], size=64)
    x = ((marks + beside) * scale).astype(np.float32)
    q = kernel.call("quantize", x, scale, zero_point, returns=Array("int8", (64,)))
    wrong = np.flatnonzero(q != marks + zero_point)
    assert not wrong.size, (
        f"With scale {scale} and zero point {zero_point}, {x[wrong[0]]:.4f} became {q[wrong[0]]}; the nearest mark is "
        f"{marks[wrong[0]] + zero_point}. {wrong.size} of 64 are off. What does a cast do with the fraction?"
    )


@pytest.mark.points(3, id="saturation")
def test_saturation(kernel, rng):
    """Numbers beyond the ruler become its end marks, -128 or 127."""
    scale, zero_point = 0.1, -20
    beyond = rng.uniform(20, 500, size=32).astype(np.float32)
    for x, end in ((beyond, 127), (-beyond, -128)):
        q = kernel.call("quantize", x, scale, zero_point, returns=Array("int8", (32,)))
        wrong = np.flatnonzero(q != end)
        assert not wrong.size, (
            f"{x[wrong[0]]:.1f} lies beyond the ruler and became {q[wrong[0]]}, not {end}. "
            "An int8 that overflows comes in again at the other end: limit the value while it is still wide."
        )
