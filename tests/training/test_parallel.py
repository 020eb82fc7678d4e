import json
import os
import pathlib
import subprocess
import sys

import pytest

from ocjax import training
from ocjax._checks import InputError

# Alone: with the flags of other tests devices round in different ways.
DEVICES = "--xla_force_host_platform_device_count=4"
TESTS = pathlib.Path(__file__).parent.parent


def test_several_devices_equal_one_for_every_method():
    environment = os.environ | {
        "XLA_FLAGS": DEVICES,
        "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}",
    }
    program = TESTS / "training" / "spmd_program.py"
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name, differences in json.loads(done.stdout).items():
        assert set(differences) >= {"2"}
        for count, difference in differences.items():
            assert difference < 1e-5, f"{name} on {count} devices: {difference}"


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(InputError, match=r"`devices` \(=99\) must be 0 to 1 here"):
        training.choose_devices(99)
