"""Changes of a configuration by texts such as "hyper.latent=50"."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ocjax import methods
from ocjax._checks import InputError, did_you_mean, one_of
from ocjax._nested import flat
from ocjax.runs.bounds import KINDS, typed
from ocjax.runs.config import RunConfig

LENGTHS = ("epochs", "steps")  # Fields that say how long a run trains.


def changed(
    values: Mapping[str, Any], texts: Sequence[str], flag: str = "--set "
) -> dict[str, Any]:
    """Changes a configuration by texts; the last of several for a field counts.

    Args:
      values: values of all fields, from `configure`.
      texts: changes, each "FIELD=VALUE".
      flag: flag that the user wrote before each, for messages.

    Raises:
      InputError: a field is unknown, or a value has another type.
    """
    values = dict(values)
    # The method comes first, as the fields of `hyper` are its own.
    for text in sorted(texts, key=lambda text: not text.startswith("method=")):
        name, _, value = text.partition("=")
        old = _located(values, name, flag.rstrip(" ."))
        try:
            new = _typed(old, text, value)
        except ValueError:
            raise InputError(
                f"{flag}{text}: expected {name}=VALUE, with {KINDS[type(old)]}."
            ) from None
        values = replaced(values, name, new)
    return values


def replaced(values: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Replaces the value of one field of a configuration.

    Another method begins with its own hyper-parameters. The length of a run is in
    epochs or in steps: a number of one takes the place of the other.

    Args:
      values: values of all fields, from `configure`.
      name: name of the field, such as "epochs" or "hyper.latent".
      value: value of the field's type.

    Raises:
      InputError: the method is unknown.
    """
    group, _, field = name.partition(".")
    if field:
        return {**values, group: {**values[group], field: value}}
    if name == "method" and value != values["method"]:
        own, _ = methods.METHODS[one_of("method", value, methods.METHODS)]
        values = {**values, "hyper": dataclasses.asdict(own())}
    if name in LENGTHS and value:
        values = {**values, **dict.fromkeys(LENGTHS, 0)}
    return {**values, name: value}


def varied(config: RunConfig, hyper: Any) -> list[dict[str, Any]]:
    """Hyper-parameters of each run that `config.vary` asks for.

    Args:
      config: configuration of the runs.
      hyper: the method's own `Config`, whose fields may vary.

    Returns:
      Every combination of values, by field without "hyper."; an empty one alone for
      "".

    Raises:
      InputError: a field is unknown or there twice, or a value has another type.
    """
    rows: dict[str, list[Any]] = {}
    known = {"hyper": dataclasses.asdict(hyper)}
    for part in config.vary.split():
        name, _, texts = part.partition("=")
        old = _located(known, name, "config.vary")
        field = name.removeprefix("hyper.")
        if field in rows:
            raise InputError(f"`config.vary`: {name} is there twice; write one list.")
        rows[field] = []
        for text in texts.split(","):
            try:
                rows[field].append(_typed(old, part, text))
            except ValueError:
                raise InputError(
                    f"`config.vary`: {name}={text!r} is not {KINDS[type(old)]}; write "
                    f"{name}=VALUE,VALUE."
                ) from None
        if len(set(rows[field])) < len(rows[field]):
            raise InputError(f"`config.vary`: {part} has a value twice.")
    return [
        dict(zip(rows, row, strict=True)) for row in itertools.product(*rows.values())
    ]


def _located(values: Mapping[str, Any], name: str, place: str) -> Any:
    """Value of a field such as "hyper.latent" or "epochs".

    Args:
      values: values of fields, some of which are mappings of fields.
      name: name of the field, in a mapping with the mapping's name and a dot before.
      place: flag or field that names it, for messages.

    Raises:
      InputError: the field is unknown.
    """
    known = dict(flat(values))
    if name in known:
        return known[name]
    near = did_you_mean(name, known)
    if near == ".":
        near = ": `ocjax fields` and `ocjax methods METHOD` list them."
    raise InputError(f"Unknown field of {place} {name!r}{near}")


def _typed(old: Any, assignment: str, value: str) -> Any:
    """Reads the value of "FIELD=VALUE", of the type of the field's old one.

    Raises:
      ValueError: there is no such value.
    """
    if "=" not in assignment:
        raise ValueError(assignment)
    return typed(type(old), value)
