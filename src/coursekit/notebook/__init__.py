"""Notebooks as plain values: how hostile bytes become one, and how the instructor's cells come back into a student's.

A notebook here is the dictionary of Jupyter's format 4.5, without outputs, every source one string, cell ids unique.
"""

from coursekit.notebook.cells import (
    Notebook,
    all_code,
    code_cells,
    grade_id,
    replace_sources,
    source_of,
    without_outputs,
)
from coursekit.notebook.reading import parse
from coursekit.notebook.restoring import restore

__all__ = [
    "Notebook",
    "all_code",
    "code_cells",
    "grade_id",
    "parse",
    "replace_sources",
    "restore",
    "source_of",
    "without_outputs",
]
