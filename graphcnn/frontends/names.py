"""The names of a model file: which are taken, and what each means where it is used.

A list of layers sees its own names, those of the repeat around it and, in full, those inside its
blocks (``inception_3a/5x5``). A name may be used before the layer that has it, so that names are
looked up when all layers are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from graphcnn.errors import ModelFileError, SourceLocation, did_you_mean
from graphcnn.naming import unused_name
from graphcnn.options import shorten

from .blocks import Fail
from .document import Value

MAX_NAME = 1000
"""The longest name of a layer, with those of the blocks and repeats around it."""


@dataclass(slots=True)
class Scope:
    """The names that a list of layers can see.

    Attributes:
        prefix: What stands before the names of its layers.
        suffix: What stands after the names that they are given: the counts of unnamed repeats.
        within: The blocks and repeats around it, outermost first.
        parameters: What ``$name`` stands for.
        names: By local name, a layer's unique name, or a reference to resolve in another scope.
        copies: The same for the layers of the repeats in it, by local and numbered name.
        last: The unique name, or the reference, of what the next layer follows.
        outer: The scope around a repeat, whose names can be seen too.
    """

    prefix: str = ""
    suffix: str = ""
    within: tuple[str, ...] = ()
    parameters: dict[str, Value] = field(default_factory=dict)
    names: dict[str, Source] = field(default_factory=dict)
    copies: dict[str, Source] = field(default_factory=dict)
    last: Source | None = None
    outer: Scope | None = None

    def place(self, value: Value) -> SourceLocation:
        """The location of a value, with the blocks and repeats around it."""
        return replace(value.location, scope=self.within) if self.within else value.location


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A name that is looked up when all layers are known, so that it may come before its layer."""

    scope: Scope
    name: str
    location: SourceLocation


Source = str | Reference
"""Where a layer takes its input: a unique name, or a name to look up."""


class Names:
    """The names of the layers of one model file.

    Args:
        inputs: The names of the model's inputs.
        fail: Called with everything that is wrong.
    """

    def __init__(self, inputs: Iterable[str], fail: Fail) -> None:
        self._fail = fail
        self._taken: dict[str, SourceLocation | None] = dict.fromkeys(inputs)
        self._counts: dict[str, int] = {}
        self._results: dict[str, Source] = {}
        self._found: dict[Reference, str | None] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._taken)

    def result(self, name: str, source: Source) -> None:
        """Let the name of a block or a repeat stand for what it results in."""
        self._results[name] = source

    def resolved(self, source: Source | None) -> str | None:
        """The unique name of a layer; None, reported, where there is none."""
        return self._find(source) if isinstance(source, Reference) else source

    def enter(self, name: str, place: SourceLocation) -> str:
        """Take a name, or when it is taken another one.

        Raises:
            ModelFileError: It is too long.
        """
        if len(name) > MAX_NAME:
            message = f"names expand to more than {MAX_NAME:,} characters"
            raise ModelFileError(message, location=replace(place, scope=place.scope[:1]))
        if name in self._taken:
            first = self._taken[name]
            hint = f"by line {first.line}" if first else "by an input"
            self._fail(f"the name {name!r} is taken", place, hint)
            name = self.unused(name)
        self._taken[name] = place
        return name

    def unused(self, stem: str) -> str:
        """The stem itself, or with the first number that makes it a new name."""
        return unused_name(stem, self._taken, self._counts)

    def meaning(self, scope: Scope, name: str) -> Source | None:
        """What a name means to the layers of a scope; ``a/b`` is the layer b of their block a."""
        around: Scope | None = scope
        while around:
            full = f"{around.prefix}{name}"
            source = around.names.get(name) or around.copies.get(name)
            source = source or (full if full in self._taken else None)
            while isinstance(source, str) and source in self._results:
                source = self._results[source]
            if source is not None:
                return source
            around = around.outer
        return None

    def _find(self, reference: Reference) -> str | None:
        """The unique name that a reference stands for; None, reported, where there is none."""
        path: dict[Reference, None] = {}
        source: Source | None = reference
        while isinstance(source, Reference) and source not in self._found:
            if source in path:
                steps = list(path)[list(path).index(source) :]
                cycle = " <- ".join(step.name for step in [*steps, source])
                self._fail(f"there is a cycle: {cycle}", source.location, None)
                source = None
                break
            path[source] = None
            meaning = self.meaning(source.scope, source.name)
            if meaning is None:
                self._unknown(source)
            source = meaning
        found = self._found[source] if isinstance(source, Reference) else source
        self._found.update(dict.fromkeys(path, found))
        return found

    def _unknown(self, reference: Reference) -> None:
        message = f"there is no layer or input named {shorten(reference.name)}"
        hint = did_you_mean(reference.name, self._visible(reference.scope))
        self._fail(message, reference.location, hint)

    def _visible(self, scope: Scope) -> set[str]:
        """The names that the layers of a scope can use."""
        names: set[str] = set()
        while scope.outer:
            names.update(scope.names, scope.copies)
            scope = scope.outer
        inside = (name for name in self._taken if name.startswith(scope.prefix))
        return names.union(
            scope.names, scope.copies, (name.removeprefix(scope.prefix) for name in inside)
        )
