"""What charts share: how wide text is without its font, and what of it fits."""

from __future__ import annotations

import unicodedata

from coursekit.report.phrases import clean

WIDTH = 800.0
"""Every chart is as wide as this, in pixels or the units of a page."""
EDGE = 24.0
SMALL, NORMAL, LARGE = 11.0, 13.0, 17.0
"""The sizes of letters."""

_NARROW = set("iIjl.,:;'|! ()[]ftr-/")
_WIDE = set("mwMW@%&—")


def text_width(text: str, size: float) -> float:
    """Give about how wide a text is in a sans-serif font of this size, rather too wide than too narrow."""
    return round(size * sum(map(_em, text)), 1)


def _em(char: str) -> float:
    if unicodedata.combining(char):
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return 1.05
    return 0.36 if char in _NARROW else 0.95 if char in _WIDE else 0.7 if char.isupper() else 0.58


def ending(text: str, size: float, width: float) -> str:
    """Give a text as one harmless line no wider than this; a long one loses its beginning, as names of layers do."""
    shown = clean(text)
    if text_width(shown, size) <= width:
        return shown
    while shown and text_width(f"…{shown}", size) > width:
        shown = shown[1:]
    return f"…{shown.lstrip()}"


def beginning(text: str, size: float, width: float) -> str:
    """Give a text as one harmless line no wider than this; a long one loses its end, as sentences do."""
    shown = clean(text)
    if text_width(shown, size) <= width:
        return shown
    while shown and text_width(f"{shown}…", size) > width:
        shown = shown[:-1]
    return f"{shown.rstrip()}…"
