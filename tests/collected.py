"""Many cases in one test, which names all that fail."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest


def each(names: str, cases: Iterable[Any]) -> Callable[[Callable], Callable]:
    """As `pytest.mark.parametrize`, but one test, that fails with every case that does.

    A case gets a folder of its own as `tmp_path`, and `capsys` without what earlier
    ones have printed; other fixtures are shared by all cases.

    Args:
      names: arguments of the test that a case gives, separated by commas.
      cases: tuples of their values, or values where there is one name.
    """
    arguments = [name.strip() for name in names.split(",")]
    cases = [case if len(arguments) > 1 else (case,) for case in cases]

    def decorate(test: Callable) -> Callable:
        @functools.wraps(test)
        def all_cases(**fixtures):
            failures = []
            for number, case in enumerate(cases):
                values = fixtures | dict(zip(arguments, case, strict=True))
                if "tmp_path" in fixtures:
                    values["tmp_path"] = fixtures["tmp_path"] / str(number)
                    values["tmp_path"].mkdir()
                if "capsys" in fixtures:
                    fixtures["capsys"].readouterr()
                try:
                    test(**values)
                except (Exception, SystemExit, pytest.fail.Exception) as error:
                    error.add_note(f"The case was {', '.join(map(repr, case))}.")
                    failures.append(error)
            if failures:
                text = f"{len(failures)} of {len(cases)} cases failed"
                raise BaseExceptionGroup(text, failures)
            assert cases, "There is no case."

        fixtures = [
            parameter
            for name, parameter in inspect.signature(test).parameters.items()
            if name not in arguments
        ]
        all_cases.__signature__ = inspect.Signature(fixtures)  # pyright: ignore
        return all_cases

    return decorate
