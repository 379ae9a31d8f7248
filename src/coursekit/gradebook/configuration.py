"""Where a course keeps what nbgrader works on, read from its `nbgrader_config.py` the way nbgrader reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coursekit.errors import CourseError
from coursekit.gradebook import database
from coursekit.gradebook.chatter import Chatter, listening, one_line
from coursekit.records import Record

CONFIG_FILE = "nbgrader_config.py"
DEFAULT_COURSE = "default_course"
"""nbgrader's own word for a course without an id. An empty one breaks a foreign key where those are enforced."""


class Settings(Record, frozen=True, kw_only=True):
    """A course folder as nbgrader sees it. Folders are absolute; the database address may hold a password."""

    root: Path
    source: Path
    release: Path
    submitted: Path
    autograded: Path
    feedback: Path
    db_url: str
    course_id: str
    plain: bool
    """True if the course has nothing of ours: its source is not `assignments/`."""

    def __repr__(self) -> str:
        return f"Settings(root={str(self.root)!r}, db_url={database.shown(self.db_url)!r})"


def settings(root: Path, *, gradebook: str = "") -> Settings:
    """Give the settings of the course in this folder.

    What `nbgrader_config.py` says holds; `gradebook` is the address for a course whose configuration names none,
    and a relative SQLite path in it starts at `root`. Only the course's own configuration file is read, not one of the
    user or the machine, so that a course is the same wherever it is graded.
    Raises CourseError if the configuration cannot be read or asks for what we cannot do.
    """
    root = root.resolve()
    _refuse_patterns(root)
    with listening(root) as chatter:
        config = configuration(root, chatter)
        folder = course_directory(config, root, chatter)
        ours = (root / "assignments").is_dir() and not (root / "source").is_dir()
        wanted = config.CourseDirectory
        source = folder.source_directory if "source_directory" in wanted or not ours else "assignments"
        address = wanted.db_url if "db_url" in wanted else gradebook or "sqlite:///gradebook.db"
        _refuse_other_layouts(folder, root)
        return Settings(
            root=root,
            source=root / source,
            release=root / folder.release_directory,
            submitted=root / folder.submitted_directory,
            autograded=root / folder.autograded_directory,
            feedback=root / folder.feedback_directory,
            db_url=database.absolute(address, root),
            course_id=folder.course_id or DEFAULT_COURSE,
            plain=root / source != root / "assignments",
        )


def configuration(root: Path, chatter: Chatter) -> Any:
    """Give the traitlets configuration of a course; an empty one if it has no file of its own."""
    from nbgrader.apps.baseapp import NbGrader  # noqa: PLC0415 - heavy
    from traitlets.config import Application  # noqa: PLC0415 - heavy

    app = NbGrader(log=chatter.log, raise_config_file_errors=True)
    file = root / CONFIG_FILE
    if not file.exists():
        return app.config
    fix = f"correct {CONFIG_FILE}."
    try:
        # NbGrader.initialize does the same for the file in the course folder, after those of user and machine.
        Application.load_config_file(app, CONFIG_FILE, path=str(root))
    except SystemExit as error:  # how traitlets ends on a value of the wrong type
        said = one_line(" ".join(chatter.errors)) or "it exits"
        raise CourseError(f"the configuration cannot be used: {said}", where=str(file), fix=fix) from error
    except Exception as error:  # the file is a program, and may raise anything
        said = one_line(f"{type(error).__name__}: {error}")
        raise CourseError(f"the configuration cannot be read: {said}", where=str(file), fix=fix) from error
    return app.config


def course_directory(config: Any, root: Path, chatter: Chatter) -> Any:
    """Give nbgrader's own record of a course's folders."""
    from nbgrader.coursedir import CourseDirectory  # noqa: PLC0415 - heavy
    from traitlets import TraitError  # noqa: PLC0415 - heavy

    try:
        folder = CourseDirectory(config=config, log=chatter.log)
    except TraitError as error:
        said = one_line(str(error))
        raise CourseError(f"the configuration cannot be used: {said}", where=str(root / CONFIG_FILE)) from error
    if "root" not in config.CourseDirectory:
        folder.root = str(root)
    return folder


def _refuse_other_layouts(folder: Any, root: Path) -> None:
    where = str(root / CONFIG_FILE)
    if Path(folder.root).resolve() != root:
        raise CourseError(f"the course is in {folder.root}.", where=where, fix="run this command in that folder.")
    if Path(folder.directory_structure) != Path("{nbgrader_step}/{student_id}/{assignment_id}"):
        what = f"the directory_structure '{folder.directory_structure}' is not nbgrader's usual one."
        fix = "leave it out, and keep folders as {nbgrader_step}/{student_id}/{assignment_id}."
        raise CourseError(what, where=where, fix=fix)


def _refuse_patterns(root: Path) -> None:
    if found := sorted(set("*?[]{}") & set(str(root))):
        what = f"nbgrader cannot work in a folder whose path has {' '.join(found)}."
        raise CourseError(what, where=str(root), fix="rename the folder.")
