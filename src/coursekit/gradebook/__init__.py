"""nbgrader's half of a course: its converters, its database and its folders. The only room that imports nbgrader.

nbgrader takes two seconds to import, so each name here is fetched from its module when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coursekit.gradebook.autograded import write_autograded
    from coursekit.gradebook.batches import Batches, Entry
    from coursekit.gradebook.book import Gradebook, Student, Total
    from coursekit.gradebook.configuration import CONFIG_FILE, Settings, settings
    from coursekit.gradebook.feedback import write_feedback
    from coursekit.gradebook.originals import cells
    from coursekit.gradebook.releasing import release
    from coursekit.gradebook.timestamps import timestamp

__all__ = [
    "CONFIG_FILE",
    "Batches",
    "Entry",
    "Gradebook",
    "Settings",
    "Student",
    "Total",
    "cells",
    "release",
    "settings",
    "timestamp",
    "write_autograded",
    "write_feedback",
]

_MODULES = {
    "Batches": "batches",
    "Entry": "batches",
    "CONFIG_FILE": "configuration",
    "Gradebook": "book",
    "Settings": "configuration",
    "Student": "book",
    "Total": "book",
    "cells": "originals",
    "release": "releasing",
    "settings": "configuration",
    "timestamp": "timestamps",
    "write_autograded": "autograded",
    "write_feedback": "feedback",
}


def __getattr__(name: str) -> Any:
    """Give a public name of this room from the module that defines it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
