"""The templates that lie beside this module, filled so that no value can be markup."""

from __future__ import annotations

import importlib.resources

import jinja2


def template(name: str) -> jinja2.Template:
    """Give a template; what is put into it is escaped, and a name that it does not get is an error."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text(name))


def text(name: str) -> str:
    """Give a file that lies beside this module in the package."""
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8")
