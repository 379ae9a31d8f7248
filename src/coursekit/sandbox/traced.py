"""What the first traceback of a kernel imports and looks up; a warm kernel imports this last, and its forks have it.

To name a module by its file, Python looks at every module that there is, which takes tens of milliseconds where
TensorFlow has been imported, and remembers what it found.
"""

from __future__ import annotations

from IPython.core.ultratb import AutoFormattedTB


def rendered() -> str:
    """One traceback as a kernel shows it."""
    try:
        int("no number")
    except ValueError as error:
        shown: str = AutoFormattedTB(mode="Context", theme_name="linux").text(type(error), error, error.__traceback__)
        return shown
    return ""


rendered()
