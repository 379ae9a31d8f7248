"""Public validation images: the second fifth of scikit-learn's digits, lightly jittered."""

import numpy as np
from scipy import ndimage
from sklearn.datasets import load_digits


def data(rng):
    """Return images, float32 from 0 to 1 with shape (360, 8, 8, 1), and labels, int64 with shape (360,)."""
    digits = load_digits()
    mine = np.arange(len(digits.target)) % 5 == 1
    images = (digits.images[mine] / 16).astype(np.float32)
    return np.stack([jitter(image, rng) for image in images])[..., np.newaxis], digits.target[mine].astype(np.int64)


def jitter(image, rng):
    """Return the image a little turned, shifted, dimmed and noisy."""
    turned = ndimage.rotate(image, rng.uniform(-6, 6), reshape=False, order=1)
    moved = ndimage.shift(turned, rng.uniform(-0.25, 0.25, size=2), order=1)
    noisy = rng.uniform(0.8, 1.0) * moved + rng.normal(0, 0.03, size=image.shape)
    return np.clip(noisy, 0, 1).astype(np.float32)
