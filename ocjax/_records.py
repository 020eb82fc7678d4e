"""Frozen dataclasses as JSON objects, written flat and read strictly.

A field of a record that is a record itself is spread: its fields are keys of the same
object, all of them null where it is None. Records in mappings are objects of their own.
"""

import dataclasses
import functools
import reprlib
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from ocjax._checks import InputError, did_you_mean

T = TypeVar("T")


def to_json(record: Any) -> dict[str, Any]:
    """The JSON object of a record."""
    values = {}
    for name, hint in _hints(type(record)).items():
        value, (part, _) = getattr(record, name), _part(hint)
        if part is None:
            values[name] = _plain(value)
        elif value is None:
            values |= dict.fromkeys(_keys(part))
        else:
            values |= to_json(value)
    return values


def from_json(cls: type[T], values: Any, where: str = "") -> T:
    """Reads what `to_json` gives of a record of `cls`; fields with defaults may lack.

    Args:
      cls: a dataclass whose fields are `str`, `int`, `float`, `Any`, records,
        `tuple[X, ...]` or `dict[str, X]` of those, or any of them `| None`.
      values: what JSON has.
      where: what comes before the names of fields in messages.

    Raises:
      InputError: a field is missing, unknown or of another type, or a number is not
        finite; the message, without a period, begins with the name.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"`{where.strip('.')}` must be one object{got(values)}")
    keys = _keys(cls)
    for name in values:
        if name not in keys:
            near = did_you_mean(name, keys).removesuffix(".")
            raise InputError(f"`{where}{name}` is unknown{near}")
    return _read(cls, values, where)


def _read(cls: Any, values: Mapping[str, Any], where: str) -> Any:
    fields = {}
    for field in dataclasses.fields(cls):
        name, hint = field.name, _hints(cls)[field.name]
        part, optional = _part(hint)
        if part is not None:
            keys = _keys(part)
            if optional and all(key in values and values[key] is None for key in keys):
                fields[name] = None
            else:
                fields[name] = _read(part, values, where)
        elif name in values:
            fields[name] = _value(hint, values[name], where + name)
        elif (field.default, field.default_factory) == (dataclasses.MISSING,) * 2:
            raise InputError(f"`{where}{name}` is missing")
    return cls(**fields)


def _value(hint: Any, value: Any, name: str) -> Any:
    """One value of a field, of the type that its annotation says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return None if value is None else _value(_but_none(hint), value, name)
    if origin is tuple and isinstance(value, list):
        return tuple(
            _value(arguments[0], one, f"{name}.{i}") for i, one in enumerate(value)
        )
    if origin is dict and isinstance(value, dict):
        return {k: _value(arguments[1], v, f"{name}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(type, hint), value, f"{name}.")
    if hint is Any or (hint in (str, int) and type(value) is hint):
        return value
    if hint is float and type(value) in (int, float):
        if abs(value) <= sys.float_info.max:  # Nor is NaN.
            return float(value)
        raise InputError(f"`{name}` must be finite{got(value)}")
    kinds = {str: "text", int: "a whole number", float: "a number", tuple: "a list"}
    expected = kinds.get(origin or hint, "one object")
    raise InputError(f"`{name}` must be {expected}{got(value)}")


def got(value: Any) -> str:
    """The end of a message: a value that was not expected."""
    return f", got {reprlib.repr(value):.60}"  # However long and deep the value is.


def _plain(value: Any) -> Any:
    """A value with its records as objects."""
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    """Field -> its annotation, in order."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _part(hint: Any) -> tuple[Any, bool]:
    """The record that a field is, if it is one; and whether it may be None."""
    optional = isinstance(hint, types.UnionType)
    hint = _but_none(hint) if optional else hint
    return (hint, optional) if dataclasses.is_dataclass(hint) else (None, False)


def _but_none(hint: Any) -> Any:
    (kind,) = (one for one in typing.get_args(hint) if one is not types.NoneType)
    return kind


@functools.cache
def _keys(cls: Any) -> list[str]:
    """Keys of a record's object."""
    keys = []
    for name, hint in _hints(cls).items():
        part, _ = _part(hint)
        keys += [name] if part is None else _keys(part)
    return keys
