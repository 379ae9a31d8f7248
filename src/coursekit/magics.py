"""In a notebook: `%load_ext coursekit`, then `%check` shows the public checks as a table under the cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class
from IPython.display import HTML, display

from coursekit.errors import CoursekitError


@magics_class
class CourseMagics(Magics):  # type: ignore[misc]
    """The magics of coursekit."""

    @line_magic  # type: ignore[untyped-decorator]
    def check(self, line: str) -> None:
        """Run the notebook of this folder from top to bottom, as it is saved, and show what each public check says."""
        if not Path("assignment.yaml").is_file():
            # While it is graded the notebook runs away from its folder, and is checked from outside anyway.
            print("%check works in the folder of the assignment; the grader runs all checks by itself.")  # noqa: T201
            return
        from coursekit import checking  # noqa: PLC0415 - loading the extension must be quick
        from coursekit.report import html  # noqa: PLC0415

        try:
            score = checking.check(Path(line.strip() or ".").resolve())
        except CoursekitError as error:
            print(f"{error}{f' Fix: {error.fix}' if error.fix else ''}")  # noqa: T201 - this is what the cell shows
        else:
            display(HTML(html.fragment(score)))


def register(shell: Any) -> None:
    """Make the magics known to this shell."""
    shell.register_magics(CourseMagics)
