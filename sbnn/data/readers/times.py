"""Times written as text, such as "2 h" or "day 3"."""

import re

import numpy as np
import pandas as pd

from sbnn.data.readers.table_names import texts

#: Units of time -> hours.
HOURS = {
    **dict.fromkeys(("s", "sec"), 1 / 3600),
    **dict.fromkeys(("min", "mins"), 1 / 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "hpi", "hpf"), 1),
    **dict.fromkeys(("d", "day", "days", "dpi", "dpf"), 24),
    **dict.fromkeys(("w", "wk", "week", "weeks"), 168),
}
_UNIT = "|".join(HOURS)
# E9.5 and P7 count from different events
_BEFORE = r"t|time|zt|e|p|d|day|h|hour|w|wk|week"
# "day-1" is no time, as the hyphen may be a minus
_TIME = re.compile(
    rf"((?P<before>{_BEFORE})[ _.=]?|(?P<sign>[-−]))?(?P<number>\d+([.,]\d+)?)"
    rf"[ _]?(?P<after>{_UNIT})?( (post|after) .*)?",
    re.I,
)
# blanks in "30 min" and "day_3"
_WITHIN = re.compile(
    rf"(?<=\d)( |_(?=\w\w))(?=({_UNIT})(?![^\W_]))"
    r"|(?<![^\W_])(?P<word>day|hour|week|time)[ _](?=\d)",
    re.I,
)
# a hyphen after a blank may be a minus
_BETWEEN = re.compile(r"[ _()]+(?:-[ _]+)?|(?<=[^\W_])-+|(?<!\d)\.|\.(?!\d)")


def times_of(values):
    """Times, or None, and their unit: hours if there are several, or "" without one."""
    found = [_time_and_unit(text) for text in texts(values)]
    if not found or None in found:
        return None, ""
    # the start needs no unit
    units = {unit for time, unit in found if unit or time}
    if len(units) == 1:
        return [time for time, _ in found], units.pop()
    if not units <= HOURS.keys():
        return None, ""
    return [time * HOURS.get(unit, 1) for time, unit in found], "h"


def times_of_names(names):
    """Samples and times in names such as t0, 2h_rep1 or donor1.day3.

    A DataFrame with ``name``, ``sample`` and ``time``, by the position of each name; None for fewer
    than two, or if units cannot be converted.
    """
    rows = {}
    for i, name in enumerate(map(str, names)):
        plain = re.sub(r"^X(?=\d)", "", name)  # R puts an X before a digit
        parts = list(filter(None, _BETWEEN.split(_WITHIN.sub(r"\g<word>", plain))))
        timed = list(filter(_has_unit, parts))
        if not timed and "0" in parts:
            timed = ["0"]
        if len(timed) == 1:
            others = [part for part in parts if part != timed[0]]
            rows[i] = name, "_".join(others) or "0", timed[0]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["name", "sample", "time"])
    times, _ = times_of(table["time"])
    if times is None or len(times) < 2:
        return None
    return table.assign(time=times)


def times_of_numbers(names):
    """Like `times_of_names`, for names that are numbers."""
    times = pd.to_numeric(pd.Series(list(names), dtype=object), errors="coerce")
    if len(times) < 2 or times.isna().any():
        return None
    return pd.DataFrame({"name": list(names), "sample": "0", "time": times})


def possible_repeats(names):
    """T0.1 beside T0, which may be a repeat or a time -> T0_rep1."""
    names = list(dict.fromkeys(names))
    repeats = {}
    numbers = {}
    for name in names:
        time, _, number = name.rpartition(".")
        if time in names and number.isdecimal() and _TIME.fullmatch(name):
            repeats[name] = f"{time}_rep{number}"
            numbers.setdefault(time, []).append(int(number))
    counted = all(found == list(range(1, len(found) + 1)) for found in numbers.values())
    times, _ = times_of(names)
    even = times is not None and np.ptp(np.diff(np.sort(times))) < 1e-9
    return repeats if counted and len(numbers) > 1 and not even else {}


def _time_and_unit(text):
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    before = (match["before"] or "").casefold()
    after = (match["after"] or "").casefold()
    if before in ("t", "time"):
        before = ""
    if before and after:
        return None
    time = float(match["number"].replace(",", "."))
    return -time if match["sign"] else time, before or after


def _has_unit(text):
    """Whether a text has a unit; P1 and H1 may be patients and wells."""
    return _TIME.fullmatch(text) is not None and re.match(r"[^\W\dphw]|[-−]?\d.*[a-z]", text, re.I)
