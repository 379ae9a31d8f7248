"""How numbers are written for people: figures, points, bytes and seconds, the same in every sentence and view."""

from __future__ import annotations

from coursekit.records import Unscored

_LARGE = 1e15
"""From here on binary fractions no longer hold every whole number, and separators would pretend they do."""


def figure(value: float, *marks: float) -> str:
    """Give a measured figure, with as many digits as it takes to tell it from these marks."""
    texts = (_written(value, digits) for digits in (4, 6, 9))
    return next((text for text in texts if all(_tells(value, text, mark) for mark in marks)), repr(value))


def points(value: float | Unscored) -> str:
    """Give points, to hundredths where they are not whole; the word as it is."""
    if value == "unscored":
        return value
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def memory(size: float) -> str:
    """Give a number of bytes in decimal units."""
    for unit in ("bytes", "kB", "MB"):
        if abs(size) < 1_000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1_000
    return f"{size:,.2f} GB"


def duration(seconds: float) -> str:
    """Give a time: with tenths of a second below a minute, else in minutes and seconds."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return f"{round(seconds) // 60:,} min {round(seconds) % 60} s"


def lasting(nanoseconds: int, digits: int = 3) -> str:
    """Give a short time in the unit that suits it, with so many digits that count."""
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        short = float(f"{nanoseconds / size:.{digits}g}")
        if short >= 1:
            return f"{short:,.{max(0, digits - len(str(int(short))))}f} {unit}"
    return f"{nanoseconds} ns"


def portion(per_mille: int, *, some: bool = True) -> str:
    """Give a share of a whole; `some` says that there is something, however little."""
    return "<0.1 %" if some and per_mille == 0 else f"{per_mille / 10:.1f} %"


def _written(value: float, digits: int) -> str:
    """Give a whole number with separators, any other with so many digits that count."""
    if abs(value) < _LARGE and float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.{digits - 3}f}" if 1_000 <= abs(value) < _LARGE else f"{value:.{digits}g}"


def _tells(value: float, text: str, mark: float) -> bool:
    shown = float(text.replace(",", ""))
    return (value > mark) == (shown > mark) and (value < mark) == (shown < mark)
