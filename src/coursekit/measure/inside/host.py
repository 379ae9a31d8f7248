"""Becomes `pair.py`, with the same arguments, in an interpreter that has nothing from another process.

A box may be entered by a fork of an interpreter that is kept warm. All its forks have their memory at the same places,
and pairs of runs must not share that.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Start anew."""
    words = [sys.executable, "-I", "-m", "coursekit.measure.inside.pair", *sys.argv[1:]]
    os.execv(words[0], words)  # noqa: S606 - there is no shell, and the words are ours


if __name__ == "__main__":
    main()
