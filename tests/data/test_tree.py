import os

import pytest

from ocjax._checks import InputError
from ocjax.data import files, tree


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(root):
    return [path.relative_to(root).as_posix() for path in files.below(root)]


def test_pictures_below_a_folder_are_sorted_and_hidden_ones_left_out(tmp_path):
    root = tmp_path / ".hidden root"
    touch(root, "b.PNG", "a/c.gif", "a/.d.png", ".thumbnails/e.png", "f.txt", "g.jpeg")
    (root / "folder.png").mkdir()
    (root / "gone.png").symlink_to(root / "nowhere.png")
    assert names(root) == ["a/c.gif", "b.PNG", "g.jpeg"]
    assert files.below(str(root)) == files.below(root)
    assert files.below(root / "nowhere") == []


SYSTEM = (
    "@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found",
    "#recycle", "@Recycle", "thumbs", "Thumbnails",
)  # fmt: skip


@pytest.mark.parametrize("name", SYSTEM)
def test_what_systems_leave_is_passed_over_anywhere(tmp_path, name):
    touch(tmp_path, "a/b.png", f"{name}/c.png", f"a/{name}/d/e.png", "a/._b.png")
    assert names(tmp_path) == ["a/b.png"]
    assert tree.folders(tmp_path) == [tmp_path / "a"]
    assert tree.loose(tmp_path / "a") == [tmp_path / "a" / "b.png"]


def test_links_are_followed_and_loops_end(tmp_path):
    root = tmp_path / "pictures"
    touch(tmp_path, "elsewhere/b.png", "other.png", "outside.png")
    touch(root, "cam1/a.png")
    (root / "cam2").symlink_to(tmp_path / "elsewhere")
    (root / "cam2" / "back").symlink_to(root)
    (root / "loop").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "self").symlink_to("self")
    (root / "link.png").symlink_to(tmp_path / "other.png")
    assert names(root) == ["cam1/a.png", "cam2/b.png", "link.png"]
    assert tree.folders(root) == [root / "cam1", root / "cam2"]
    (tmp_path / "spelled").symlink_to(root)
    assert names(tmp_path / "spelled") == names(root)


def test_a_picture_that_links_reach_too_is_taken_once_by_its_own_path(tmp_path):
    touch(tmp_path, "z/a.png", "z/y/b.png")
    (tmp_path / "first").symlink_to("z")
    (tmp_path / "inner").symlink_to("z/y")
    (tmp_path / "a.png").symlink_to("z/a.png")
    assert names(tmp_path) == ["z/a.png", "z/y/b.png"]


def test_a_folder_that_cannot_be_looked_into_is_an_error(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "secret/b.png")
    listed = os.listdir

    def refuse(folder):
        if os.path.basename(folder) == "secret":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(InputError, match="Cannot look into .*secret: Permission denie"):
        files.below(tmp_path)


def test_names_of_any_bytes_are_found(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    touch(tmp_path, name)
    assert files.below(tmp_path) == [tmp_path / name]


@pytest.mark.parametrize("name", ["env.json", "table.md"])
def test_run_folders_are_passed_over(tmp_path, name):
    touch(tmp_path, "good/1.png", "run/plots/roc.png")
    for file in ("run.json", name):
        (tmp_path / "run" / file).write_text("{}")
    assert names(tmp_path) == ["good/1.png"]
    assert tree.folders(tmp_path) == [tmp_path / "good"]
    assert names(tmp_path / "run") == ["plots/roc.png"]  # Whoever asks for it.
