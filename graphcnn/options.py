"""Dataclasses whose fields are the options a user may write, checked by their type hints.

Operators, initializers and passes are all `Options`: the dataclass fields are at once the keys of
the model file, the arguments in Python and the properties of the JSON Schema. msgspec does the
checking; this module turns its findings into `OptionError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from .errors import ErrorGroup, GraphCNNError, OptionError, did_you_mean

T = TypeVar("T", bound="Options")

_KINDS = {
    "int": "an integer",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class Read:
    """How a field is read that msgspec cannot read, in its `Annotated` hint.

    Attributes:
        function: Gives the value, of what a user wrote or of the value itself.
    """

    function: Callable[[Any], Any]


class Options:
    """A frozen dataclass that checks its fields against their type hints when it is made.

    A field whose type is a class with a `decode` class method accepts whatever that decodes, one
    whose hint has a `Read` whatever that reads, and one that is such a dataclass itself a mapping
    of its fields.

    Attributes:
        short: The field that a bare value stands for, if any does, as in ``{constant: 0.1}``.
    """

    short: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        errors: list[GraphCNNError] = []
        for name, hint in field_types(type(self)).items():  # type: ignore[arg-type]  # hashable
            try:
                object.__setattr__(self, name, _convert(getattr(self, name), hint, name))
            except GraphCNNError as error:
                errors.append(error)
        if errors:
            raise errors[0] if len(errors) == 1 else ErrorGroup(errors)
        self.check()

    def check(self) -> None:
        """Refuse fields that are right each but wrong together, by raising `OptionError`."""


@cache
def field_types(cls: type[Any]) -> dict[str, Any]:
    """The resolved type hint of every field, in order."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in option_fields(cls)}


def option_fields(cls: type[Options]) -> tuple[Field[Any], ...]:
    """The dataclass fields of an options class."""
    return fields(cls)  # type: ignore[arg-type]


def field_values(options: Options) -> dict[str, Any]:
    """Every field's value by its name."""
    return {field.name: getattr(options, field.name) for field in option_fields(type(options))}


def required_fields(cls: type[Options]) -> list[str]:
    """The fields that have no default."""
    return [f.name for f in option_fields(cls) if f.default is f.default_factory is MISSING]


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """Make an options object from a mapping that a user wrote.

    Raises:
        ErrorGroup: Every unknown key, missing key and wrong value, each an `OptionError`.
    """
    known = {field.name: field for field in option_fields(cls)}
    errors: list[GraphCNNError] = [
        OptionError(f"unknown key {key!r}", path=(key,), hint=did_you_mean(str(key), known))
        for key in values
        if key not in known
    ]
    meant = {error.hint for error in errors}
    missing = [
        n for n in required_fields(cls) if n not in values and f"did you mean {n}?" not in meant
    ]
    if missing:
        errors.append(OptionError(f"missing {', '.join(missing)}"))
    if not errors:
        return cls(**values)
    hints = field_types(cls)  # type: ignore[arg-type]  # classes are hashable
    for name in [name for name in known if name in values]:
        try:
            _convert(values[name], hints[name], name)
        except GraphCNNError as error:
            errors.append(error)
    raise ErrorGroup(errors)


def choose(value: Any, known: Mapping[str, type[T]], noun: str, example: str) -> T:
    """Make the options object that a user chose: ``name`` or ``{name: {option: value}}``.

    A class with a `short` field also takes ``{name: value}``.

    Args:
        value: What the user wrote.
        known: The classes by name.
        noun: What they are, such as ``initializer``.
        example: A right spelling of each form, for the hint.

    Raises:
        OptionError: It is not of that form, or the name is unknown.
        ErrorGroup: The options are not those of the class.
    """
    name, options = name_and_options(value, known, noun, example)
    short = known[name].short
    if short and not isinstance(options, Mapping):
        options = {short: options}
    if not isinstance(options, Mapping):
        raise OptionError(f"{name}: expected a mapping, found {shorten(options)}")
    return build(known[name], options)


def name_and_options(
    value: Any, known: Collection[str], noun: str, example: str
) -> tuple[str, Any]:
    """Take apart ``name`` or ``{name: options}``.

    Raises:
        OptionError: It is neither, or the name is unknown.
    """
    name, options = value, dict[str, Any]()
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, options),) = value.items()
    if not isinstance(name, str):
        raise OptionError(
            f"expected a name or a mapping of one name, found {shorten(value)}",
            hint=f"for example: {example}",
        )
    if name not in known:
        raise OptionError(f"unknown {noun} {shorten(name)}", hint=did_you_mean(name, known))
    return name, options


def _convert(value: Any, hint: Any, name: str) -> Any:
    read = next((part for part in get_args(hint) if isinstance(part, Read)), None)
    try:
        if read:
            return read.function(value)
        if isinstance(value, Mapping) and _is_options(hint):
            return build(hint, value)  # msgspec by itself would pass over unknown keys.
        return msgspec.convert(value, hint, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise _option_error(str(error), value, hint, name) from None
    except UnicodeEncodeError:
        text = f"{name}: expected whole characters, found {shorten(value)}"
        raise OptionError(text, path=(name,)) from None
    except GraphCNNError as error:
        inner = [
            OptionError(f"{name}: {e.message}", path=(name, *getattr(e, "path", ())), hint=e.hint)
            for e in error.errors
        ]
        raise inner[0] if len(inner) == 1 else ErrorGroup(inner) from None


def _is_options(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Options) and is_dataclass(hint)


def _decode(cls: type[Any], value: Any) -> Any:
    return value if isinstance(value, cls) else cls.decode(value)


def _option_error(text: str, value: Any, hint: Any, name: str) -> OptionError:
    """Say what msgspec found, in the words of a model file."""
    text, _, where = text.partition(" - at `$")
    path: list[str | int] = [name]
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", where):
        path.append(key or int(index))
        value = value[path[-1]]
    choices = sorted(_choices(hint))
    if text.startswith("Invalid enum value") and choices:
        expected, suggestion = f"expected {' or '.join(choices)}", did_you_mean(str(value), choices)
    else:
        expected, suggestion = _in_words(text), None
    if choices and isinstance(value, str) and suggestion is None:
        suggestion = f"or one of: {', '.join(choices)}"
    return OptionError(
        f"{_spell(path)}: {expected}, found {shorten(value)}", path=path, hint=suggestion
    )


def _choices(hint: Any) -> Iterator[str]:
    if get_origin(hint) is Literal:
        yield from (str(choice) for choice in get_args(hint))
        return
    for argument in get_args(hint):
        yield from _choices(argument)


def _in_words(text: str) -> str:
    text = re.sub(r", got .*$", "", text)
    text = re.sub(r"`([^`]*)`", lambda m: _kinds(m[1]), text)
    return text[0].lower() + text[1:]


def _kinds(names: str) -> str:
    return " or ".join(_KINDS.get(name, name) for name in names.split(" | "))


def _spell(path: list[str | int]) -> str:
    return str(path[0]) + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path[1:])


def shorten(value: object, limit: int = 60) -> str:
    """The value as a user would write it, cut to a length that fits a message."""
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
