"""Numbers as people read them: one function per unit, three significant digits, with the exact value kept.

Pages and charts take every figure from here, so that a number looks the same everywhere. Exports (CSV, JSON)
never
do: they carry the value itself. Nothing here depends on plans, pages or the clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.html import format_html
from django.utils.safestring import SafeString

GIB = 2.0**30
MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 86_400.0
YEAR_S = 365.25 * DAY_S
#: Prefixes of counts, as model and token counts are spoken of: 8.03B parameters, 1T tokens.
COUNT_STEPS = ((1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
SI_STEPS = (
    (1e24, "Y"),
    (1e21, "Z"),
    (1e18, "E"),
    (1e15, "P"),
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as shown, and its exact value. In a template it renders with the exact value on hover."""

    text: str
    exact: str

    def __str__(self) -> str:
        return self.text

    def __html__(self) -> SafeString:
        return format_html('<span title="{}">{}</span>', self.exact, self.text)


def significant(value: float, digits: int = 3) -> str:
    """Three significant digits without an exponent, thousands grouped: 0.0123, 4.57, 31.4, 655, 12,300."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "unknown"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def trimmed(value: float) -> str:
    """As ``significant``, without trailing zeros: counts are whole, so 1T rather than 1.00T."""
    text = significant(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact(value: float, unit: str) -> str:
    """Every digit, with the unit."""
    number = f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e21 else repr(float(value))
    return f"{number} {unit}".rstrip()


def gib(value_bytes: float) -> Quantity:
    """Memory in GiB, in MiB below a hundredth of a GiB, and in words below 1 MiB. value_bytes: bytes."""
    if 0 < abs(value_bytes) < 2**20:
        return Quantity("less than 1 MiB", exact(value_bytes, "bytes"))
    if 0 < abs(value_bytes) < GIB / 100:
        return Quantity(f"{significant(value_bytes / 2**20)} MiB", exact(value_bytes, "bytes"))
    return Quantity(f"{significant(value_bytes / GIB)} GiB", exact(value_bytes, "bytes"))


def rate(bytes_per_s: float) -> Quantity:
    """A link, in GB/s as vendors print it (10⁹ bytes a second)."""
    return Quantity(f"{significant(bytes_per_s / 1e9)} GB/s", exact(bytes_per_s, "byte/s"))


def _time_unit(seconds: float) -> tuple[float, str, str]:
    """(seconds in the largest sensible unit, its name, its short name)."""
    for size, name, short in (
        (YEAR_S, "years", "y"),
        (DAY_S, "days", "d"),
        (HOUR_S, "hours", "h"),
        (MINUTE_S, "min", "min"),
        (1.0, "s", "s"),
        (1e-3, "ms", "ms"),
    ):
        # Two days rather than 48 hours, but 36 hours rather than 1.5 days.
        if abs(seconds) >= size * (2.0 if size in (DAY_S, HOUR_S, MINUTE_S) else 1.0):
            return size, name, short
    return 1e-6, "µs", "µs"


def time_axis(seconds: float) -> tuple[float, str]:
    """(seconds in one unit, its name) of an axis whose values are about this long."""
    size, name, _ = _time_unit(seconds)
    return size, name


def duration(seconds: float) -> Quantity:
    """A time in its largest sensible unit: 412 ms, 12.3 s, 31.2 days, 2.4 years."""
    if seconds == 0:
        return Quantity("0 s", "0 s")
    size, name, _ = _time_unit(seconds)
    return Quantity(f"{significant(seconds / size)} {name}", exact(seconds, "s"))


def dollars(usd: float) -> Quantity:
    """Dollars with two decimals or none: $0.62, $98.32, $655, $12,300, $655k, $1.23M, $123M, $1.23B.

    Below a cent, two significant digits.
    """
    size = abs(usd)
    if 0 < size < 0.01:
        text = f"${significant(usd, 2)}"
    elif size < 99.995:
        text = f"${usd:,.2f}"
    elif size < 99_950:
        text = f"${float(f'{usd:.2e}'):,.0f}"
    else:
        step, suffix = _step(usd, ((1e9, "B"), (1e6, "M"), (1e3, "k")))
        decimals = 0 if suffix == "k" or size / step >= 99.995 else 2
        text = f"${usd / step:,.{decimals}f}{suffix}"
    return Quantity(text, exact(usd, "USD"))


def dollars_per_hour(usd: float) -> Quantity:
    """A price per hour: $98.32/h."""
    return Quantity(f"${usd:,.2f}/h", exact(usd, "USD per node-hour"))


def percent(share: float) -> Quantity:
    """A share as a percentage: 43.1 %."""
    return Quantity(f"{significant(share * 100)} %", exact(share, ""))


def count(value: float, unit: str = "") -> Quantity:
    """A count with k, M, B or T: 8.03B. Under ten thousand it is written out."""
    if abs(value) < 1e4:
        whole = f"{int(value):,}" if float(value).is_integer() else significant(value)
        return Quantity(f"{whole} {unit}".rstrip(), exact(value, unit))
    size, suffix = _step(value, COUNT_STEPS)
    return Quantity(f"{trimmed(value / size)}{suffix} {unit}".rstrip(), exact(value, unit))


def si(value: float, unit: str) -> Quantity:
    """A physical quantity with an SI prefix: 989 TFLOP/s."""
    size, prefix = _step(value, SI_STEPS)
    return Quantity(f"{significant(value / size)} {prefix}{unit}", exact(value, unit))


def _step(value: float, steps: Sequence[tuple[float, str]]) -> tuple[float, str]:
    # 999.6k is shown as 1M: what counts is the rounded number.
    rounded = float(f"{abs(value):.2e}") if value and math.isfinite(value) else 0.0
    return next(((size, suffix) for size, suffix in steps if rounded >= size), (1.0, ""))


def _interval(
    low: float, high: float, size: float, write: Callable[[str], str] = lambda number: number
) -> Quantity:
    return Quantity(
        f"{write(significant(low / size))} to {write(significant(high / size))}", f"{low!r} to {high!r}"
    )


def duration_ends(low_s: float, high_s: float, value_s: float) -> Quantity:
    """Both ends in seconds, shown without the unit, which precedes them: "31.2 days (28.1 to 35.0)"."""
    return _interval(low_s, high_s, _time_unit(value_s)[0])


def duration_range(low_s: float, high_s: float, value_s: float) -> Quantity:
    """Both ends in the unit of the value they belong to: "28.1 to 35.0 days"."""
    size, name, _ = _time_unit(value_s)
    spoken = _interval(low_s, high_s, size)
    return Quantity(f"{spoken.text} {name}", f"{spoken.exact} s")


def dollar_range(low: float, high: float) -> Quantity:
    """Both ends of a range of dollars: "$655k to $702k"."""
    return Quantity(f"{dollars(low)} to {dollars(high)}", f"{low!r} to {high!r} USD")


def gib_range(low: float, high: float) -> Quantity:
    """Both ends of a range of bytes: "31.2 to 35.0 GiB"."""
    spoken = _interval(low, high, GIB)
    return Quantity(f"{spoken.text} GiB", f"{spoken.exact} bytes")


def percent_range(low: float, high: float) -> Quantity:
    """Both ends of a range of shares: "41.0 to 45.2 %"."""
    spoken = _interval(low * 100, high * 100, 1.0)
    return Quantity(f"{spoken.text} %", f"{low!r} to {high!r}")


def day(value: date | None) -> str:
    """5 June 2025."""
    return "an unknown day" if value is None else f"{value.day} {value:%B %Y}"


def in_unit(value: float, unit: str) -> Quantity:
    """A number of an explanation, formatted by the unit that the engine gave it."""
    known: dict[str, Callable[[float], Quantity]] = {
        "byte": gib,
        "bytes": gib,
        "s": duration,
        "second": duration,
        "USD": dollars,
        "usd": dollars,
        "byte/s": rate,
        "fraction": percent,
        "ratio": percent,
    }
    if unit in ("byte", "bytes") and 0 < abs(value) < 1024:
        return Quantity(f"{trimmed(value)} bytes", exact(value, "bytes"))  # such as bytes per parameter
    if unit in known:
        return known[unit](value)
    if unit.upper().startswith("FLOP"):
        return si(value, unit)
    if unit in ("", "1"):
        return Quantity(count(value).text, exact(value, ""))
    return count(value, unit)
