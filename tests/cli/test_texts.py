"""Every field and every flag says what it is, and its default."""

import dataclasses
import os
import subprocess
import sys

import pytest
from calls import call
from collected import each

from ocjax import __version__, _extras, cli, methods
from ocjax.cli import exits, texts
from ocjax.runs.config import Execution, PaperCode, RunConfig

CONFIGS = {name: config for name, (config, _) in methods.METHODS.items()}
CONFIGS |= {"run": RunConfig, "paper code": PaperCode, "execution": Execution}


@dataclasses.dataclass(frozen=True)
class Sample:
    """Nothing to do with # comments."""

    # A paragraph, that is
    # above.
    above: int = 1
    beside: str = "#"  # Text with a "#" in it.

    # Not of the next one, for a line is between.

    bare: float = 2.0
    long: tuple = (  # First,
        1,  # second.
    )


def test_the_text_of_a_field_is_the_comment_beside_or_above_it():
    assert texts.fields(Sample) == {
        "above": "A paragraph, that is above.",
        "beside": 'Text with a "#" in it.',
        "bare": "",
        "long": "First, second.",
    }


@each("name", CONFIGS)
def test_every_field_has_a_text_that_stands_alone(name):
    config = CONFIGS[name]
    text_of = texts.fields(config)
    assert [*text_of] == [field.name for field in dataclasses.fields(config)]
    for field, text in text_of.items():
        first = text.split()[0] if text else ""
        nested = dataclasses.is_dataclass(getattr(config, field))
        assert nested or (len(text.split()) >= 2 and text.endswith(".")), field
        assert first[:1].isupper() and first not in ("Of", "Or", "As", "Its", "That")


def test_the_fields_of_methods_and_runs_are_listed_with_their_texts(capsys):
    for name, config in CONFIGS.items():
        if name in methods.METHODS:
            assert call("methods", name) == 0
            lines = capsys.readouterr().out.splitlines()
            for line, field in zip(lines, dataclasses.fields(config), strict=True):
                start = f"hyper.{field.name}={field.default} "
                assert line.startswith(start)
                assert line.endswith(f" {texts.fields(config)[field.name]}")
    assert call("fields") == 0
    said = capsys.readouterr().out
    assert "batch_size=64 " in said and "paper_code.min_max=False " in said
    assert "method=lrgdan " in said and "false_positive_rate=0.01 " in said


@each("command", cli.COMMANDS)
def test_help_has_the_default_of_every_flag(command):
    commands = {action.dest: action for action in cli.parser()._actions}["command"]
    assert isinstance(commands.choices, dict)
    for action in commands.choices[command]._actions:
        if action.option_strings and not action.required and action.dest != "help":
            assert "(default: " in action.help, action.option_strings


def test_defaults_are_those_that_runs_have(capsys):
    with pytest.raises(SystemExit):
        call("train", "--help")
    said = " ".join(capsys.readouterr().out.split())
    for flag, field in (("epochs N", "epochs"), ("batch_size N", "batch_size")):
        assert (
            f"(default: {getattr(RunConfig(), field)})" in said.split(f"--{flag}")[-1]
        )


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit) as ended:
        call("--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"ocjax {__version__}\n"


def test_shells_complete_values(capsys):
    with pytest.raises(SystemExit):
        call("--print_completion", "bash")
    said = capsys.readouterr().out.replace("'", "")  # Which some releases write.
    assert "method_choices=(lrgdan caent ics" in said
    assert "format_choices=(stablehlo onnx)" in said
    assert "score___model_COMPGEN=_shtab_compgen_files" in said


def test_completion_needs_shtab_and_a_shell_that_it_knows(capsys, monkeypatch):
    with pytest.raises(SystemExit) as ended:
        call("--print_completion", "shell")
    assert ended.value.code == 2
    assert "Unknown shell 'shell': expected one of bash, zsh" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as ended:
        call("--print_completion", "bash")
    assert ended.value.code == 2
    hint = f"Error: Completion needs shtab: {_extras.install('completion')}. See: "
    assert capsys.readouterr().err.startswith(hint)


COMMANDS = """
import contextlib, sys, ocjax.cli
for command in ("--help", "datasets", "methods ics"):
    sys.argv[1:] = command.split()
    with contextlib.suppress(SystemExit):
        ocjax.cli.main()
    print("----")
"""


def test_texts_are_there_without_docstrings():
    command = [sys.executable, "-c", COMMANDS]
    whole, bare = (
        subprocess.run(command, capture_output=True, text=True, env=environment)
        for environment in (os.environ, os.environ | {"PYTHONOPTIMIZE": "2"})
    )
    assert (bare.returncode, bare.stdout, bare.stderr) == (0, whole.stdout, "")
    texts_of_commands = whole.stdout.split("----\n")
    assert len(texts_of_commands) == 4 and texts_of_commands.pop() == ""
    assert all(len(text) > 500 for text in texts_of_commands)


@pytest.mark.parametrize("arguments", [["--help"], ["fields"], ["methods"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_ends_it_quietly(arguments, unbuffered):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "ocjax", *arguments],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode in (0, exits.PIPE_CLOSED) and done.stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="There is no /dev/full.")
def test_a_full_disk_behind_standard_output_costs_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ocjax", "fields"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "No space left" in done.stderr
