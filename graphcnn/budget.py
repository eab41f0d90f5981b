"""Limits that a model states for itself, or that the command line adds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .errors import OptionError, did_you_mean
from .options import Options, build, option_fields, shorten

_SUFFIXES = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}


class Quantity(int):
    """A number that may be written with a suffix: 500k, 1.5M, 2GB, 512KiB."""

    @classmethod
    def decode(cls, value: Any) -> Quantity:
        """Read a number or a text.

        Raises:
            OptionError: It is neither.
        """
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and value % 1 == 0 <= value
        ):
            return cls(value)
        text = value if isinstance(value, str) else ""
        match = re.fullmatch(
            r"(\d{1,18}(?:\.\d{1,18})?)\s*([kmgt]i?)?(?:b|bytes)?", text.strip().lower()
        )
        if not match:
            raise OptionError(
                f"expected a number such as 500k, 1.5M or 2MiB, found {shorten(value)}"
            )
        return cls(Fraction(match[1]) * _SUFFIXES[match[2] or ""])


@dataclass(frozen=True, kw_only=True)
class Budget(Options):
    """The most that a network may take, on one sample.

    Attributes:
        params: Parameters.
        macs: Multiply-accumulates.
        peak_activation_bytes: Live activation memory.
        model_bytes: Bytes of all parameters.
    """

    params: Quantity | None = None
    macs: Quantity | None = None
    peak_activation_bytes: Quantity | None = None
    model_bytes: Quantity | None = None

    def with_limits(self, assignments: tuple[str, ...]) -> Budget:
        """This budget with ``params=500k`` and the like on top.

        Raises:
            OptionError: An assignment is not of that form.
        """
        limits = {k: v for k, v in vars(self).items() if v is not None}
        known = [field.name for field in option_fields(Budget)]
        for assignment in assignments:
            name, equals, value = assignment.partition("=")
            if not equals or name not in known:
                raise OptionError(
                    f"--budget {assignment}: expected one of {', '.join(known)} and a number",
                    hint=did_you_mean(name, known) or "for example: --budget params=500k",
                )
            limits[name] = value
        return build(Budget, limits)
