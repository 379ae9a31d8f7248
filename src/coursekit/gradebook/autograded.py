"""A submission as nbgrader's autograde leaves it, for formgrader and for its feedback pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nbformat
from nbformat import NotebookNode, v4
from nbgrader.preprocessors import LimitOutput
from nbgrader.utils import compute_checksum

from coursekit.cellgrades import source_of
from coursekit.errors import StudentError
from coursekit.gradebook import harmless
from coursekit.gradebook.configuration import Settings
from coursekit.gradebook.folders import copy_pictures, put_in_place
from coursekit.gradebook.names import accept
from coursekit.gradebook.originals import cells
from coursekit.gradebook.timestamps import timestamp
from coursekit.making import beside
from coursekit.records import GradedCell

SCHEMA_VERSION = 3
_OURS = "coursekit"
_READ_ONLY = 0o444


def write_autograded(
    settings: Settings,
    student: str,
    name: str,
    executed: Mapping[str, Mapping[str, Any]],
    submission: Path,
    originals: Mapping[str, tuple[GradedCell, ...]] | None = None,
    waiting: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> Path:
    """Write `autograded/STUDENT/NAME` with the executed notebooks; give the folder.

    `originals` are the cells of the assignment, for whoever has asked for them already. `waiting` is why a cell waits
    for a person, by notebook and cell; formgrader shows it above what the cell gave, and no student sees it.

    It holds the notebooks of the assignment, the pictures of the release and, where the submission has a time, its
    `timestamp.txt`. Other files of the submission stay where they are: nbgrader copies them, but nothing reads them.
    Outputs are text and pictures only, and a student's text cells are the cleaned HTML that they are shown as, since
    formgrader shows both in the instructor's browser.
    """
    accept(student, "a student")
    accept(name, "an assignment")
    if originals is None:
        originals = cells(settings, name)
    settings.autograded.mkdir(parents=True, exist_ok=True)
    with beside(settings.autograded) as scratch:
        folder = scratch / name
        folder.mkdir()
        copy_pictures(settings.release / name, folder)
        for stem in originals.keys() & executed.keys():
            why = {cell: reason for (notebook, cell), reason in waiting.items() if notebook == stem}
            notebook = _autograded(executed[stem], originals[stem], why)
            nbformat.write(notebook, folder / f"{stem}.ipynb")
        _write_timestamp(submission, folder)
        for path in folder.rglob("*"):
            if path.is_file():
                path.chmod(_READ_ONLY)
        return put_in_place(folder, settings.autograded / student / name)


def is_for_instructors(output: Mapping[str, Any]) -> bool:
    """Whether an output is what we say there to whoever marks; of what a cell gave itself no metadata is kept."""
    return _OURS in output.get("metadata", {})


def _autograded(
    executed: Mapping[str, Any], graded: tuple[GradedCell, ...], waiting: Mapping[str, str]
) -> NotebookNode:
    known = {cell.id: cell for cell in graded}
    notebook = v4.new_notebook(metadata=page_metadata(executed))
    for old in executed.get("cells", []):
        original = known.pop(old.get("metadata", {}).get("nbgrader", {}).get("grade_id", ""), None)
        metadata = nbgrader_metadata(original) if original else {}
        cell = harmless.cell(old, source_of(old), metadata)
        if original and original.id in waiting:
            said = {"text/plain": f"This test waits for a person: {waiting[original.id]}"}
            cell.outputs.insert(0, v4.new_output("display_data", data=said, metadata={_OURS: {"waits": True}}))
        if cell.cell_type == "markdown" and not (original and original.locked):
            cell.source = harmless.text(cell.source)
        notebook.cells.append(cell)
    notebook, _ = LimitOutput().preprocess(notebook, {})
    return notebook


def page_metadata(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a page needs of a notebook's metadata: the language, for its colours."""
    language = notebook.get("metadata", {}).get("kernelspec", {}).get("language")
    if language != "python":
        return {"language_info": {"name": "text"}}
    return {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3", "file_extension": ".py"},
    }


def nbgrader_metadata(cell: GradedCell) -> dict[str, Any]:
    """Give a cell's metadata in nbgrader's schema 3, with the checksum of the source it was handed out with."""
    metadata: dict[str, Any] = {
        "grade": cell.grade,
        "grade_id": cell.id,
        "locked": cell.locked,
        "schema_version": SCHEMA_VERSION,
        "solution": cell.solution,
        "task": cell.task,
        "cell_type": cell.cell_type,
    }
    if cell.points is not None:
        metadata["points"] = cell.points
    original = NotebookNode(cell_type=cell.cell_type, source=cell.source, metadata=NotebookNode(nbgrader=metadata))
    metadata["checksum"] = compute_checksum(original)
    return metadata


def _write_timestamp(submission: Path, folder: Path) -> None:
    """Write the time in nbgrader's form; without one it has none, since nbgrader stops at a time it cannot read."""
    try:
        moment = timestamp(submission)
    except StudentError:
        return  # whoever grades the submission says so; here it only means that no time is known
    if moment is not None:
        (folder / "timestamp.txt").write_text(f"{moment:%Y-%m-%d %H:%M:%S.%f} UTC\n", encoding="utf-8")
