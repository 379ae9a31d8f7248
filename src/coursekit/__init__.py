"""coursekit: auto-graded assignments for machine-learning-systems courses."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "load_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext coursekit` calls: makes `%check` known."""
    from coursekit import magics  # noqa: PLC0415 - importing the package must stay light

    magics.register(shell)
