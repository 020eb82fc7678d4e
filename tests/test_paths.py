import pathlib

import pytest

from ocjax import _files
from ocjax._checks import InputError


@pytest.mark.parametrize(
    "path", ["gs://bucket/run", pathlib.Path("s3://bucket/run"), "file:///run"]
)
def test_paths_of_remote_storage_are_refused(path):
    with pytest.raises(InputError, match="--workdir on a local disk, got .*mount"):
        _files.local(path, "--workdir")


def test_a_zero_byte_is_refused():
    with pytest.raises(InputError, match="zero byte"):
        _files.local("run\0")


def test_a_home_that_nobody_knows_is_refused(monkeypatch):
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(InputError, match="no home folder"):
        _files.local("~nobody-of-this-name/run")


def test_other_paths_are_kept(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert _files.local("~/run") == pathlib.Path("/somewhere/run")
    assert _files.local("a:b/run") == pathlib.Path("a:b/run")
