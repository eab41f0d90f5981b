r"""Sliding windows: output sizes, pads and reach, shared by convolution and pooling.

Along one axis, with input size :math:`n`, kernel :math:`k`, stride :math:`s`, dilation :math:`d`:

- the window spans :math:`e = d (k - 1) + 1` positions;
- with pads :math:`b` before and :math:`a` after, :math:`\lfloor (n + b + a - e) / s \rfloor + 1`
  windows fit;
- ``same`` yields :math:`\lceil n / s \rceil` windows, and pads what they need,
  :math:`\max(0, (\lceil n / s \rceil - 1) s + e - n)` in all, the odd one after (TensorFlow's and
  Keras's rule; ONNX's ``SAME_UPPER``);
- ``causal`` pads :math:`e - 1` before.

Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning".
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from graphcnn.errors import OptionError, ShapeError
from graphcnn.types import Dim, is_symbolic

from .op import Reach

Pads = int | tuple[int | tuple[int, int], ...]
"""One number for every side, or a list of one number or [before, after] each axis."""

Padding = Literal["valid", "same"] | Pads
"""Pads by name or by number; `check_padding` refuses negative ones."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window over the spatial axes; every tuple has one entry an axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: Any = "valid"

    @property
    def spans(self) -> tuple[int, ...]:
        """The positions that the dilated kernel covers, by axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def pads(self, sizes: tuple[Dim, ...]) -> tuple[tuple[int, int], ...]:
        """The pads before and after, by axis.

        Raises:
            ShapeError: ``same`` with a stride over a size that is not known, on which it depends.
        """
        if self.padding == "same":
            rows = zip(sizes, self.spans, self.strides, strict=True)
            return tuple(_same_pads(size, span, stride) for size, span, stride in rows)
        if self.padding == "causal":
            return tuple((span - 1, 0) for span in self.spans)
        return explicit_pads(self.padding, len(self.kernel))

    def output(self, sizes: tuple[Dim, ...]) -> tuple[Dim, ...]:
        """The number of windows, by axis.

        Raises:
            ShapeError: The kernel is larger than the padded input.
        """
        if self.padding == "same":
            return tuple((n + s - 1) // s for n, s in zip(sizes, self.strides, strict=True))
        pads = self.pads(sizes)
        padded = tuple(n + b + a for n, (b, a) in zip(sizes, pads, strict=True))
        if any(isinstance(n, int) and n < span for n, span in zip(padded, self.spans, strict=True)):
            raise self._too_large(sizes, padded)
        rows = zip(padded, self.spans, self.strides, strict=True)
        return tuple((n - span) // stride + 1 for n, span, stride in rows)

    def reach(self, sizes: tuple[Dim, ...]) -> tuple[Reach, ...]:
        """What a window's result depends on, by axis.

        An unknown size under ``same`` with a stride counts as a multiple of the stride.
        """
        known = tuple(
            n if isinstance(n, int) else s for n, s in zip(sizes, self.strides, strict=True)
        )
        rows = zip(self.pads(known), self.spans, self.strides, strict=True)
        return tuple(
            Reach(Fraction(stride), Fraction(-before), Fraction(span - 1 - before))
            for (before, _), span, stride in rows
        )

    def attributes(self, sizes: tuple[Dim, ...]) -> dict[str, list[int]]:
        """The ONNX attributes, all explicit: some runtimes refuse or misread the defaults."""
        pads = self.pads(sizes)
        attributes = {
            "kernel_shape": list(self.kernel),
            "strides": list(self.strides),
            "pads": [before for before, _ in pads] + [after for _, after in pads],
        }
        if any(d != 1 for d in self.dilations):
            attributes["dilations"] = list(self.dilations)
        return attributes

    def _too_large(self, sizes: tuple[Dim, ...], padded: tuple[Dim, ...]) -> ShapeError:
        kernel, given = _times(self.spans), _times(sizes)
        dilated = "" if self.spans == self.kernel else " (dilated)"
        if self.padding == "valid":
            why = f"its input {given} and padding is valid"
        else:
            why = f"its padded input {_times(padded)}"
        rows = zip(padded, self.kernel, strict=True)
        largest = _times(tuple(k if is_symbolic(n) else min(n, k) for n, k in rows))
        return ShapeError(
            f"kernel {kernel}{dilated} is larger than {why}",
            hint=f"padding: same keeps the {given}, or use a kernel of at most {largest}",
        )


def explicit_pads(padding: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """The pads before and after, by axis, of ``valid``, a number or a list."""
    if padding == "valid":
        return ((0, 0),) * rank
    if isinstance(padding, int):
        return ((padding, padding),) * rank
    return tuple((p, p) if isinstance(p, int) else p for p in padding)


def check_padding(padding: Any, rank: int, field: str = "padding") -> None:
    """Refuse a list of pads whose length is not the number of spatial axes.

    Raises:
        OptionError: Naming the field.
    """
    if isinstance(padding, tuple) and len(padding) != rank:
        raise OptionError(
            f"{field}: expected {rank} numbers, one an axis, found {len(padding)}",
            path=(field,),
            hint="each is a number, or [before, after]",
        )
    if isinstance(padding, str):
        return
    if any(pad < 0 for pads in explicit_pads(padding, rank) for pad in pads):
        raise OptionError(f"{field}: expected no negative number, found {padding}", path=(field,))


def _same_pads(size: Dim, span: int, stride: int) -> tuple[int, int]:
    if not is_symbolic(size):
        total = max(0, ((size + stride - 1) // stride - 1) * stride + span - size)
    elif stride == 1:
        total = span - 1
    else:
        raise ShapeError(
            f"padding same with stride {stride} depends on the size {size}, which is not known",
            hint="give the size as a number, in the model file or by --input-shape 224,224,3; "
            "or the pads as numbers",
        )
    return total // 2, total - total // 2


def _times(sizes: tuple[Dim, ...]) -> str:
    return "x".join(str(size) for size in sizes)
