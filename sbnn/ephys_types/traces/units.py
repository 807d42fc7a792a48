"""Voltages, currents and rates that are off by powers of a thousand: found and named, never mended in silence."""

from __future__ import annotations

import numpy as np

#: What voltages before a stimulus, amplitudes of square currents and sampling rates of recordings can be.
PLAUSIBLE = {
    "voltage": (-120.0, -10.0, "mV"),
    "current": (3.0, 20_000.0, "pA"),
    "sampling rate": (10_000.0, 1_000_000.0, "Hz"),
}
_WORDS = {"voltage": "volts", "current": "amperes"}
_PREFIXES = {0: "", -3: "milli", -6: "micro", -9: "nano", -12: "pico"}


def check_scale(quantity: str, value: float, of: str, conversion: float = 1.0) -> None:
    """Refuse a value that no recording can have, and say which mistake of units would explain it.

    Parameters
    ----------
    quantity : {"voltage", "current", "sampling rate"}
    value : float
        In mV, pA or Hz.
    of : str
        What the value is of, for the message.
    conversion : float
        That the file multiplied its numbers with to give volts or amperes.

    Raises
    ------
    ValueError
    """
    low, high, unit = PLAUSIBLE[quantity]
    if low <= value <= high:
        return
    message = f"the {quantity} {of} is {value:.4g} {unit}, expected {low:g} to {high:g}"
    for power in (3, -3, 6, -6, 9, -9, 12, -12):
        if low <= value * 10.0**-power <= high:
            off = f"10^{abs(power)} times too {'large' if power > 0 else 'small'}"
            raise ValueError(f"{message}; it is {off}, as if {_mistake(quantity, power, conversion)}")
    raise ValueError(message)


def _mistake(quantity: str, power: int, conversion: float) -> str:
    """What makes values 10**power times too large."""
    if quantity == "sampling rate":
        unit = {-3: "kilohertz (or times in milliseconds)", -6: "megahertz", 3: "millihertz"}.get(power, "another unit")
        return f"{unit} had been written where hertz (and seconds) belong"
    right = conversion * 10.0**-power
    prefix = _PREFIXES.get(round(np.log10(right))) if right > 0 else None
    stored = "" if prefix is None else f"{prefix}{_WORDS[quantity]} were stored and "
    return f"{stored}the conversion of {conversion:g} in the file should be {right:g}"
