"""YAML as values that know their line and column, read under limits and never executed.

The parser's events are put together here rather than by the library's composer, for three reasons:
nesting is bounded before anything recurses, an alias counts as all that it stands for, and every
scalar, key and list keeps its place for error messages.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode

from graphcnn.errors import GraphCNNError, ModelFileError, OptionError, SourceLocation
from graphcnn.options import shorten

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 64
MAX_VALUES = 2_000_000

_PLAIN_TAGS = ("bool", "float", "int", "null", "str")


@dataclass(slots=True)
class Value:
    """A scalar, a list or a mapping of a model file, and where it was written.

    Attributes:
        data: A Python scalar, a list of values, or a dict from a key to (its key, its value).
        location: The file, line and column.
        count: The values in it, itself and every alias's included.
        depth: The lists and mappings inside one another in it, itself included.
    """

    data: Any
    location: SourceLocation
    count: int = 1
    depth: int = 0

    @classmethod
    def of_list(cls, items: list[Value], location: SourceLocation) -> Value:
        """A list of values."""
        return cls(items, location, *_extent(items))

    @classmethod
    def of_mapping(cls, pairs: dict[Any, tuple[Value, Value]], location: SourceLocation) -> Value:
        """A mapping from each key to the key, for its place, and its value."""
        return cls(pairs, location, *_extent([item for pair in pairs.values() for item in pair]))

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.data, list)

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.data, dict)

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        if self.data is None:
            return "nothing"
        if self.data in ([], {}):
            return "an empty list" if self.is_list else "an empty mapping"
        return "a list" if self.is_list else "a mapping" if self.is_mapping else shorten(self.data)

    def get(self, key: str) -> Value | None:
        """The value of a key of this mapping."""
        found = self.data.get(key)
        return found[1] if found else None

    def key(self, key: Any) -> Value:
        """A key of this mapping, for its place."""
        found: tuple[Value, Value] = self.data[key]
        return found[0]

    def plain(self) -> Any:
        """The value as Python scalars, lists and dicts."""
        if self.is_list:
            return [item.plain() for item in self.data]
        if self.is_mapping:
            return {key: value.plain() for key, (_, value) in self.data.items()}
        return self.data

    def place(self, path: Sequence[str | int]) -> SourceLocation:
        """Where the key or item at a path of keys and indices is, or the last one on the way.

        The path may leave out the name in ``{name: {key: value}}``.
        """
        here, place = self, self.location
        for step in path:
            if here.is_mapping and step not in here.data and len(here.data) == 1:
                ((key, here),) = here.data.values()
                place = key.location
            if here.is_mapping and step in here.data:
                key, here = here.data[step]
                place = key.location
            elif here.is_list and isinstance(step, int) and step < len(here.data):
                here = here.data[step]
                place = here.location
            else:
                break
        return place

    def substitute(self, parameters: Mapping[str, Value]) -> Value:
        """The value with ``$name`` replaced by parameters; what has none is shared, not copied.

        Raises:
            ModelFileError: A parameter is unknown.
        """
        if self.is_list:
            items = [item.substitute(parameters) for item in self.data]
            same = all(map(operator.is_, items, self.data))
            return self if same else Value.of_list(items, self.location)
        if self.is_mapping:
            pairs = {k: (key, v.substitute(parameters)) for k, (key, v) in self.data.items()}
            same = all(pairs[k][1] is self.data[k][1] for k in pairs)
            return self if same else Value.of_mapping(pairs, self.location)
        if not isinstance(self.data, str) or not self.data.startswith("$"):
            return self
        name = self.data[1:]
        if name not in parameters:
            known = ", ".join(f"${key}" for key in parameters)
            hint = f"known here: {known}" if known else "$names belong to the layers of a block"
            text = shorten(self.data)
            raise ModelFileError(f"unknown parameter {text}", location=self.location, hint=hint)
        return replace(parameters[name], location=self.location)

    def substitute_keys(self, parameters: Mapping[str, Value], keys: Sequence[str]) -> Value:
        """This mapping with ``$name`` replaced in the values of some keys only."""
        pairs = {
            k: (key, v.substitute(parameters) if k in keys else v)
            for k, (key, v) in self.data.items()
        }
        return Value.of_mapping(pairs, self.location)


def located(error: GraphCNNError, options: Value, subject: str) -> list[GraphCNNError]:
    """The errors of a mapping of options, each with the place of the option it is about."""
    found: list[GraphCNNError] = []
    for one in error.errors:
        path = one.path if isinstance(one, OptionError) else ()
        place = replace(options.place(path), scope=options.location.scope)
        found.append(ModelFileError(one.message, location=place, subject=subject, hint=one.hint))
    return found


def _extent(items: Sequence[Value]) -> tuple[int, int]:
    """The count and the depth of what holds these values."""
    return 1 + sum(i.count for i in items), 1 + max((i.depth for i in items), default=0)


def read_document(path: Path, shown: str) -> tuple[Value, bytes]:
    """Read a YAML file.

    Args:
        path: The file, of at most `MAX_BYTES`.
        shown: What messages call it.

    Returns:
        Its one document, and its bytes.

    Raises:
        ModelFileError: The file is missing, too large, empty, not UTF-8, or not YAML.
    """
    top = SourceLocation(shown, 1, 1)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelFileError(f"{shown}: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise ModelFileError(f"larger than {MAX_BYTES:,} bytes", location=top)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelFileError(
            f"not a text file: byte {error.start} is not UTF-8",
            location=top,
            hint="a model file is YAML; Keras's files end in .keras or .h5",
        ) from None
    return parse_document(text, shown), raw


def parse_document(text: str, shown: str) -> Value:
    """Read YAML from a text.

    Args:
        text: One document.
        shown: What messages call it.

    Raises:
        ModelFileError: It is empty, or not YAML.
    """
    top = SourceLocation(shown, 1, 1)
    try:
        return _Composer(shown).compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(error, top) from None
    except YAMLError as error:
        raise ModelFileError(f"not YAML: {str(error).splitlines()[0]}", location=top) from None


def _syntax_error(error: MarkedYAMLError, top: SourceLocation) -> GraphCNNError:
    mark = error.problem_mark
    where = SourceLocation(top.file, mark.line + 1, mark.column + 1) if mark else top
    problem = error.problem or "it cannot be parsed"
    return ModelFileError(
        f"not YAML: {problem}" + (f" {error.context}" if error.context else ""),
        location=where,
        hint="indent with spaces, and write layers as `- Name: {key: value}`",
    )


class _Composer:
    """Puts parser events together."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._yaml = YAML(typ="safe", pure=True)
        self._anchors: dict[str, Value] = {}

    def compose(self, text: str) -> Value:
        """The one document of a text.

        Raises:
            ModelFileError: It is empty, several, or beyond a limit.
        """
        root: Value | None = None
        open_: list[tuple[CollectionStartEvent, list[Value]]] = []
        for event in self._yaml.parse(text):
            value: Value | None = None
            if isinstance(event, DocumentStartEvent):
                self._check_document(event, root)
            elif isinstance(event, CollectionStartEvent):
                self._check_start(event, len(open_))
                open_.append((event, []))
            elif isinstance(event, CollectionEndEvent):
                value = self._close(*open_.pop())
            elif isinstance(event, NodeEvent):
                value = self._leaf(event)
            if value is None:
                continue
            self._check_extent(value, event)
            if open_:
                open_[-1][1].append(value)
            else:
                root = value
        if root is None or root.data is None:
            top = SourceLocation(self._file, 1, 1)
            raise ModelFileError(
                "the file is empty", location=top, hint="it needs inputs: and layers:"
            )
        return root

    def _check_document(self, event: DocumentStartEvent, before: Value | None) -> None:
        if before:
            raise self._error("expected one document, found another", event)
        if event.version not in (None, (1, 2)):
            raise self._error("only YAML 1.2 is read here", event, "remove the %YAML line")

    def _check_start(self, event: CollectionStartEvent, depth: int) -> None:
        if event.tag:
            raise self._error(f"the tag {event.tag} is not allowed", event)
        if depth == MAX_DEPTH:
            raise self._error(f"nested deeper than {MAX_DEPTH}", event)

    def _check_extent(self, value: Value, event: Event) -> None:
        if value.count > MAX_VALUES:
            raise self._error(f"aliases expand to more than {MAX_VALUES:,} values", event)
        if value.depth > MAX_DEPTH:
            raise self._error(f"aliases nest deeper than {MAX_DEPTH}", event)

    def _leaf(self, event: NodeEvent) -> Value:
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise self._error(f"unknown alias *{event.anchor}", event)
            return self._anchors[event.anchor]
        assert isinstance(event, ScalarEvent)
        value = Value(self._scalar(event), self._place(event))
        self._remember(event.anchor, value)
        return value

    def _scalar(self, event: ScalarEvent) -> Any:
        if event.tag:
            raise self._error(f"the tag {event.tag} is not allowed", event)
        if any("\ud800" <= letter <= "\udfff" for letter in event.value):
            raise self._error(f"cannot read {event.value[:40]!r}: half a character", event)
        resolved = str(self._yaml.resolver.resolve(ScalarNode, event.value, event.implicit))
        if resolved.rsplit(":", 1)[-1] not in _PLAIN_TAGS:
            return event.value
        try:
            node = ScalarNode(resolved, event.value, event.start_mark, event.end_mark)
            data = self._yaml.constructor.construct_object(node, deep=True)
        except (ValueError, YAMLError):
            raise self._error(f"cannot read {event.value[:40]!r}", event) from None
        if isinstance(data, int) and data.bit_length() > 64:
            raise self._error("expected a number of at most 64 bits", event)
        if isinstance(data, float) and not math.isfinite(data):
            raise self._error(f"expected a finite number, found {event.value[:40]}", event)
        return data

    def _close(self, start: CollectionStartEvent, items: list[Value]) -> Value:
        place = self._place(start)
        if isinstance(start, SequenceStartEvent):
            value = Value.of_list(items, place)
        else:
            value = Value.of_mapping(self._pairs(items), place)
        self._remember(start.anchor, value)
        return value

    def _pairs(self, items: list[Value]) -> dict[Any, tuple[Value, Value]]:
        pairs: dict[Any, tuple[Value, Value]] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            if key.is_list or key.is_mapping:
                raise ModelFileError("a key must be a word", location=key.location)
            if key.data in pairs:
                raise ModelFileError(
                    f"the key {shorten(key.data)} occurs twice",
                    location=key.location,
                    hint=f"first in line {pairs[key.data][0].location.line}",
                )
            if value.data is None:  # An empty value begins where the next thing does.
                value = replace(value, location=key.location)
            pairs[key.data] = (key, value)
        return pairs

    def _remember(self, anchor: str | None, value: Value) -> None:
        if anchor:
            self._anchors[anchor] = value

    def _place(self, event: Any) -> SourceLocation:
        mark = event.start_mark
        return SourceLocation(self._file, mark.line + 1, mark.column + 1)

    def _error(self, message: str, event: Any, hint: str | None = None) -> ModelFileError:
        return ModelFileError(message, location=self._place(event), hint=hint)
