"""Calls of the `ocjax` command, run as its entry point runs it."""

import pytest

from ocjax import cli


def call(*arguments):
    """The exit status of `ocjax ARGUMENTS`."""
    parsed = cli._parse(["ocjax", *map(str, arguments)])
    return cli._run(parsed)


def refused(capsys, *arguments):
    """The one line that `ocjax ARGUMENTS` ends with, with status 2."""
    with pytest.raises(SystemExit) as ended:
        call(*arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    return said.err
