"""What a student's kernel and text may put on a page that others open: words, pictures and simple markup.

Cells are built anew from the parts that are known, so that a field nobody thought of never reaches a template.
Scripts, styles, frames, forms, widgets, and addresses other than web, mail and pictures within the page do not pass.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import bleach  # type: ignore[import-untyped] # it ships no types
from nbconvert.filters import markdown2html
from nbformat import NotebookNode, v4

_PICTURES = ("image/png", "image/jpeg")
_TAGS = frozenset(
    re.findall(
        r"\w+",
        """
        a abbr b blockquote br caption code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li
        ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr u ul var
        """,
    )
)
_SAFE_ADDRESS = re.compile(r"(?:https?://|mailto:|#)[^\s]*", re.IGNORECASE)
_SAFE_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*|[\w. -]+(?:/[\w. -]+)*")
_PREFORMATTED = re.compile(r"(<pre\b.*?</pre>)", re.DOTALL)
_BLANK = re.compile(r"(?<=\n)[^\S\n]*(?=\n)")
_BLANKS = re.compile(r"\n\s*\n")
_NOTHING = "\u200b"
"""Takes no room, and is not blank."""
_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def markup(html: str) -> str:
    """Give the HTML with everything that is not simple markup shown as text."""
    cleaned: str = bleach.clean(html, tags=_TAGS, attributes=_may_have, protocols=["http", "https", "mailto", "data"])
    return cleaned


def rendered(source: str) -> str:
    """Give the HTML that formgrader makes of a text cell's source; it cleans nothing."""
    html: str = markdown2html(source)
    return html


def text(source: str) -> str:
    """Give the source of a text cell as the HTML that it is shown as, in one block that Markdown leaves as it stands.

    For pages that render Markdown and clean nothing, as formgrader's do. A blank line would end the block.
    """
    parts = _PREFORMATTED.split(markup(rendered(source)).strip())
    kept = [_BLANK.sub(_NOTHING, part) if part.startswith("<pre") else _BLANKS.sub("\n", part) for part in parts]
    return f"<div>{''.join(kept)}</div>"


def _may_have(tag: str, name: str, value: str) -> bool:
    if name == "href":
        return tag == "a" and _SAFE_ADDRESS.fullmatch(value) is not None
    if name == "src":
        return tag == "img" and _SAFE_PICTURE.fullmatch(value) is not None
    return name in {"class", "title", "alt", "colspan", "rowspan", "align", "width", "height"}


def cell(old: Mapping[str, Any], source: str, metadata: Mapping[str, Any]) -> NotebookNode:
    """Give a cell of this kind with this source and nbgrader metadata, and the outputs that are harmless."""
    kind = old.get("cell_type")
    if kind == "code":
        count = old.get("execution_count")
        new = v4.new_code_cell(source, execution_count=count if isinstance(count, int) else None)
        new.outputs = outputs(old)
    elif kind == "markdown":
        new = v4.new_markdown_cell(source)
    else:
        new = v4.new_raw_cell(source)
    if _CELL_ID.fullmatch(str(old.get("id", ""))):
        new.id = old["id"]
    if metadata:
        new.metadata.nbgrader = NotebookNode(metadata)
    return new


def outputs(old: Mapping[str, Any]) -> list[NotebookNode]:
    """Give a cell's outputs as text and pictures: rich ones by their plain text, unknown ones by a note."""
    return [_output(output) for output in old.get("outputs", [])]


def _output(old: Mapping[str, Any]) -> NotebookNode:
    kind = old.get("output_type")
    if kind == "stream":
        name = "stderr" if old.get("name") == "stderr" else "stdout"
        return v4.new_output("stream", name=name, text=_text(old.get("text")))
    if kind == "error":
        traceback = old.get("traceback")
        lines = [_text(line) for line in traceback] if isinstance(traceback, list) else []
        return v4.new_output("error", ename=_text(old.get("ename")), evalue=_text(old.get("evalue")), traceback=lines)
    data = old.get("data")
    shown = _data(data if isinstance(data, Mapping) else {})
    if kind == "execute_result":
        count = old.get("execution_count")
        return v4.new_output(kind, data=shown, execution_count=count if isinstance(count, int) else None)
    return v4.new_output("display_data", data=shown)


def _data(data: Mapping[str, Any]) -> dict[str, str]:
    shown = {kind: picture for kind in _PICTURES if (picture := _picture(data.get(kind)))}
    if "text/plain" in data:
        shown["text/plain"] = _text(data["text/plain"])
    if not shown:
        kinds = ", ".join(sorted(str(kind)[:60] for kind in data)) or "no type"
        shown["text/plain"] = f"[an output of {kinds}, which is not shown here]"
    return shown


def _picture(value: object) -> str:
    """Give base64 data if that is what it is, else an empty string."""
    text = "".join(_text(value).split())
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return text


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
