"""Errors that say where, what was found, what was expected, and what to do about it.

Every error a user can cause is a `GraphCNNError`; the command line prints it and exits with its
`exit_code`. Anything else that escapes is a defect in graphcnn.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where a node was written.

    Attributes:
        file: The model file, as the user named it.
        line: Counted from 1.
        column: Counted from 1.
        scope: The blocks and repeats that the node was instantiated through, outermost first.
    """

    file: str
    line: int
    column: int
    scope: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class GraphCNNError(Exception):
    """The base of all errors that a user can cause.

    Args:
        message: What was found and what was expected, one line.
        hint: What would mend it.
        location: Where it was written.
        subject: What the message is about, such as ``conv2 (Conv2D)``.
        context: Labelled lines printed under the message, such as the inputs of a node.
    """

    exit_code: ClassVar[int] = 2

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        location: SourceLocation | None = None,
        subject: str | None = None,
        context: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.location = location
        self.subject = subject
        self.context = tuple(context)

    def __str__(self) -> str:
        head = ": ".join(str(part) for part in (self.location, self.subject, self.message) if part)
        scope = " > ".join(self.location.scope) if self.location else ""
        rows = [*self.context, ("within", scope), ("hint", self.hint or "")]
        return "\n".join([head, *(f"  {label:<8} {text}" for label, text in rows if text)])

    @property
    def errors(self) -> tuple[GraphCNNError, ...]:
        """The independent errors this one stands for: itself, unless it is an `ErrorGroup`."""
        return (self,)

    def explained(
        self,
        *,
        location: SourceLocation | None = None,
        subject: str | None = None,
        context: Sequence[tuple[str, str]] = (),
    ) -> GraphCNNError:
        """The same error with what it does not say itself yet, and more lines of context."""
        error = copy.copy(self)
        error.location = self.location or location
        error.subject = self.subject or subject
        error.context = (*self.context, *context)
        return error


class ModelFileError(GraphCNNError):
    """A model file that cannot be understood."""


class OptionError(GraphCNNError):
    """A field of an operator, a pass or an initializer that holds a wrong value.

    Attributes:
        path: The field and the indices into it, such as ``("kernel_size", 1)``.
    """

    def __init__(
        self, message: str, *, path: Sequence[str | int] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = tuple(path)


class ShapeError(GraphCNNError):
    """Shapes that do not fit an operator."""


class GraphError(GraphCNNError):
    """A graph that is not well formed, or a change that would make it so."""


class WeightError(GraphCNNError):
    """Weights that do not fit the graph, or cannot be read."""


class ExportError(GraphCNNError):
    """A graph that cannot be written, or a file that cannot be written to."""


class RuntimeFailure(GraphCNNError):
    """An .onnx file, an input or a provider that onnxruntime cannot use."""


class TrainingError(GraphCNNError):
    """A training that cannot be started or gone on with."""


class DataError(GraphCNNError):
    """Training or test data that cannot be read, or does not fit the model."""


class EvaluationError(GraphCNNError):
    """Predictions that cannot be compared with the truth."""


class VerificationError(GraphCNNError):
    """Two models that cannot be compared."""


class PictureError(GraphCNNError):
    """A picture that cannot be drawn."""


class MissingExtra(GraphCNNError):
    """A command needs a package that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs {package}, which is not installed",
            hint=f"pip install 'graphcnn[{extra}]'",
        )


class CheckFailed(GraphCNNError):
    """A check that the user asked for, or that guards every file, did not hold."""

    exit_code = 1


class ErrorGroup(GraphCNNError):
    """Several independent errors of one file, in the order of their lines."""

    def __init__(self, errors: Iterable[GraphCNNError]) -> None:
        found = sorted(
            (leaf for error in errors for leaf in error.errors),
            key=lambda e: (e.location.line, e.location.column) if e.location else (0, 0),
        )
        self._errors = tuple(found)
        super().__init__("\n".join(str(error) for error in found))

    @property
    def errors(self) -> tuple[GraphCNNError, ...]:
        """The independent errors."""
        return self._errors

    def explained(self, **more: Any) -> ErrorGroup:
        """Each error, explained."""
        return ErrorGroup(error.explained(**more) for error in self._errors)

    def __str__(self) -> str:
        return self.message


_MOST_COMPARED = 2000
"""Among more names than these the closest is not looked for: it would take too long."""


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the closest known word, or lists them all when they are few."""
    from difflib import get_close_matches

    names = sorted(known)
    if len(names) > _MOST_COMPARED:
        return None
    by_lower = {name.lower(): name for name in names}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    if close:
        return f"did you mean {by_lower[close[0]]}?"
    return f"known: {', '.join(names)}" if 0 < len(names) <= 20 else None
