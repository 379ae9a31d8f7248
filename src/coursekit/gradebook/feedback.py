"""nbgrader's feedback pages for one student, without what a student's code could hide in them.

The page shows the student's text and code, the grader's comments and the points. What it does not show:

- scripts and other live content: outputs are text and pictures, markup in text cells is cleaned (see `harmless`);
- anything from elsewhere: nbgrader's page has a script of a stranger's server run beside the student's work, to draw
  formulas; here a formula stands as it was written;
- hidden tests: locked cells show the source that students got, and from the first cell with hidden tests on no output
  is shown but the message of a failed assert as its author wrote it, since code that ran with them may have read them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode, v4
from nbgrader.api import InvalidEntry, MissingEntry
from nbgrader.converters import GenerateFeedback
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config import Config

from coursekit.cellgrades import grade_cells, has_hidden_tests, source_of
from coursekit.errors import CourseError, CoursekitError
from coursekit.gradebook import database, harmless
from coursekit.gradebook.autograded import is_for_instructors, nbgrader_metadata, page_metadata
from coursekit.gradebook.chatter import Chatter, listening, one_line
from coursekit.gradebook.configuration import Settings, configuration, course_directory
from coursekit.gradebook.folders import copy_pictures
from coursekit.gradebook.names import accept
from coursekit.gradebook.originals import cells
from coursekit.making import beside
from coursekit.records import GradedCell

_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE)
_WITHHELD = "[Outputs from here on are not shown: this notebook has hidden tests.]"


def write_feedback(settings: Settings, student: str, name: str) -> Path:
    """Write `feedback/STUDENT/NAME/NOTEBOOK.html` from the autograded notebooks and the gradebook; give the folder.

    Other files in that folder stay. Raises CourseError if the submission has not been autograded or recorded.
    """
    accept(student, "a student")
    accept(name, "an assignment")
    graded = settings.autograded / student / name
    if not any(graded.glob("*.ipynb")):
        raise CourseError("there is no graded notebook.", where=str(graded), fix=f"run `coursekit grade {name}`.")
    originals = cells(settings, name)
    folder = settings.feedback / student / name
    folder.mkdir(parents=True, exist_ok=True)
    with beside(settings.feedback) as scratch:
        with listening(settings.root) as chatter:
            try:
                _convert(settings, (student, name), scratch, chatter, originals)
            except (Exception, SystemExit) as error:  # nbgrader raises what its parts do
                raise _refusal(chatter.cause(error), settings, graded) from error
        for page in sorted((scratch / student / name).glob("*.html")):
            page.write_text(_SCRIPT.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
            page.replace(folder / page.name)
    copy_pictures(settings.release / name, folder)
    return folder


def _convert(
    settings: Settings,
    whose: tuple[str, str],
    out: Path,
    chatter: Chatter,
    originals: Mapping[str, tuple[GradedCell, ...]],
) -> None:
    config = configuration(settings.root, chatter)
    folder = course_directory(config, settings.root, chatter)
    folder.autograded_directory = str(settings.autograded)
    folder.feedback_directory = str(out)
    folder.db_url = settings.db_url
    folder.course_id = settings.course_id
    folder.student_id, folder.assignment_id = whose
    folder.notebook_id = "*"
    config.merge(_cleaning())
    converter = GenerateFeedback(coursedir=folder, config=config, log=chatter.log, force=True)
    converter.preprocessors = [_presenter(originals), *converter.preprocessors]
    converter.start()


def _cleaning() -> Config:
    """Give the exporter's settings under which no text of a notebook becomes live, and no file is read for it."""
    render = HTMLExporter().markdown2html

    @pass_context
    def clean(context: Context, source: str) -> str:
        return harmless.markup(render(context, source))

    return Config(HTMLExporter={"filters": {"markdown2html": clean}, "embed_images": False, "sanitize_html": True})


def _presenter(
    originals: Mapping[str, tuple[GradedCell, ...]],
) -> Callable[[NotebookNode, dict[str, Any]], tuple[NotebookNode, dict[str, Any]]]:
    """Give the step that makes a notebook fit to be shown to its student, as nbconvert wants steps."""

    def present(notebook: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        return _presentable(notebook, originals.get(resources["nbgrader"]["notebook"], ())), resources

    return present


def _presentable(notebook: NotebookNode, graded: tuple[GradedCell, ...]) -> NotebookNode:
    known = {cell.id: cell for cell in graded}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not is_for_instructors(output)]
    hints = {check.id: check.hint for check in grade_cells(graded, notebook)}
    shown = v4.new_notebook(metadata=page_metadata(notebook))
    after_hidden = told = False
    for old in notebook.cells:
        original = known.pop(old.metadata.get("nbgrader", {}).get("grade_id", ""), None)
        after_hidden = after_hidden or (original is not None and has_hidden_tests(original))
        source = original.released_source if original and original.locked else source_of(old)
        new = harmless.cell(old, source, nbgrader_metadata(original) if original else {})
        if after_hidden and new.cell_type == "code":
            new.outputs = _instead(hints.get(original.id, "") if original else "", told)
            told = True
        shown.cells.append(new)
    return shown


def _instead(hint: str, told: bool) -> list[NotebookNode]:
    """Give what stands where outputs are withheld: the hint of a test, and once the reason."""
    texts = [text for text in (hint, "" if told else _WITHHELD) if text]
    return [v4.new_output("stream", name="stdout", text="\n".join(texts) + "\n")] if texts else []


def _refusal(error: BaseException, settings: Settings, graded: Path) -> CoursekitError:
    if isinstance(error, CoursekitError):
        return error
    if isinstance(error, MissingEntry):
        fix = "grade the submission again, so that its grades are recorded."
        return CourseError(f"the gradebook lacks it: {one_line(str(error))}.", where=str(graded), fix=fix)
    if isinstance(error, InvalidEntry | SQLAlchemyError):
        return database.explained(error, settings.db_url)
    return CourseError(f"nbgrader makes no feedback of it: {one_line(str(error)).rstrip('.')}.", where=str(graded))
