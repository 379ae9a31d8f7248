"""The database behind the gradebook: its address, opening it, and whose move it is when it does not answer.

An address may hold a password. What is shown of an address never does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from coursekit.errors import CourseError, GradebookError
from coursekit.gradebook.chatter import one_line

POSTGRES_DRIVER = "postgresql+psycopg"


def absolute(address: str, root: Path) -> str:
    """Give the address with a relative SQLite path put under `root`, and our driver for PostgreSQL."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - heavy
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - heavy

    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        fix = "write it as sqlite:///gradebook.db or postgresql://user:password@host/database."
        raise CourseError("the address of the gradebook is not a database URL.", where=str(root), fix=fix) from error
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername=POSTGRES_DRIVER)
    if url.get_backend_name() == "sqlite" and url.database and not url.database.startswith((":", "file:")):
        url = url.set(database=str(root / url.database))
    return url.render_as_string(hide_password=False)


def shown(address: str) -> str:
    """Give the address without password and options, for people to read."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - heavy

    return make_url(address).set(query={}).render_as_string(hide_password=True)


@contextlib.contextmanager
def answering(address: str) -> Iterator[None]:
    """Turn every failure of the database in this block into a GradebookError."""
    from nbgrader.api import InvalidEntry  # noqa: PLC0415 - heavy
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - heavy

    try:
        yield
    except (SQLAlchemyError, InvalidEntry, ModuleNotFoundError) as error:
        raise explained(error, address) from error


def prepare(address: str) -> None:
    """Make the database and its tables if there are none yet; raise GradebookError if it cannot be reached.

    nbgrader would make them too, but asks the `alembic` program for its version, which is only found in an activated
    environment.
    """
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - heavy
    from nbgrader.api import Base  # noqa: PLC0415 - heavy
    from nbgrader.dbutil import ALEMBIC_DIR  # noqa: PLC0415 - heavy
    from sqlalchemy import create_engine, inspect, text  # noqa: PLC0415 - heavy

    with answering(address):
        engine = create_engine(address)
        try:
            if inspect(engine).get_table_names():
                return
            with engine.begin() as connection:
                if engine.dialect.name == "sqlite":  # whose driver begins no transaction before a CREATE
                    connection.exec_driver_sql("BEGIN")
                Base.metadata.create_all(bind=connection)
                connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
                version = ScriptDirectory(ALEMBIC_DIR).get_current_head()
                connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:v)"), {"v": version})
        finally:
            engine.dispose()


# --- Whose move it is ------------------------------------------------------------------------------------------------

_KNOWN = (
    ("database is locked", "another program is writing to it", "wait until it is done, and run this again."),
    ("unable to open database file", "it cannot be opened", "see that its folder exists and may be written."),
    ("readonly database", "it may not be written", "give yourself write access to the file and its folder."),
    ("file is not a database", "the file is not a database", "move it away, or name another in the course's settings."),
    ("disk is full", "the disk is full", "free some space and run this again."),
    ("no such column", "it is of another version of nbgrader", "back it up, then run `nbgrader db upgrade`."),
    ("no such table", "it is of another version of nbgrader", "back it up, then run `nbgrader db upgrade`."),
    ("UndefinedColumn", "it is of another version of nbgrader", "back it up, then run `nbgrader db upgrade`."),
    ("UndefinedTable", "it is of another version of nbgrader", "back it up, then run `nbgrader db upgrade`."),
    ("password authentication failed", "the server refuses the user", "correct user and password in the URL."),
    ("no password supplied", "the server wants a password", "put it in the URL: postgresql://user:password@host/name."),
    ("does not exist", "the server has no such database or user", "make it with `createdb`, or correct the URL."),
    ("Connection refused", "no server answers there", "start the server, or correct host and port in the URL."),
    ("No such file or directory", "no server answers there", "start the server, or correct host and port in the URL."),
    ("could not translate host name", "there is no such host", "correct the host in the URL."),
    ("failed to resolve host", "there is no such host", "correct the host in the URL."),
    ("timeout expired", "no server answers there", "start the server, or correct host and port in the URL."),
    ("server closed the connection", "the server went away", "see its log, and run this again."),
    ("terminating connection", "the server went away", "see its log, and run this again."),
    ("permission denied", "this user may not write there", "grant the user the rights of an owner."),
)


def explained(error: BaseException, address: str) -> GradebookError:
    """Give the error as a sentence with a remedy; whatever the database said, the password is not in it."""
    if isinstance(error, ModuleNotFoundError):
        fix = "use postgresql:// for PostgreSQL, or install the driver."
        return GradebookError(f"the database driver '{error.name}' is not installed.", where=shown(address), fix=fix)
    said = _without_password(one_line(str(getattr(error, "orig", None) or error)), address)
    for words, what, fix in _KNOWN:
        if words in said or words == type(getattr(error, "orig", error)).__name__:
            return GradebookError(f"the gradebook does not work: {what} ({said}).", where=shown(address), fix=fix)
    return GradebookError(f"the gradebook does not work: {said}.", where=shown(address))


def _without_password(text: str, address: str) -> str:
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - heavy

    url = make_url(address)
    text = text.replace(address, shown(address))
    hidden = [url.password, *(value for key, value in url.normalized_query.items() if "password" in key)]
    for secret in hidden:
        for word in (secret,) if isinstance(secret, str) else (secret or ()):
            text = text.replace(word, "***") if word else text
    return text
