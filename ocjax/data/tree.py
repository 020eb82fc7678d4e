"""Pictures and folders below a folder, without those that systems leave there.

Links are followed, but not to a folder that was visited already, such as one that the
link is in. A picture that two links reach is taken once, by its own path if it has one.
"""

import os
import pathlib
from collections import deque

from ocjax._checks import InputError

SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
# Folders of thumbnails, of deleted files, and of archives and disks themselves.
_SYSTEM = {
    "@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot",
    "__macosx", "$recycle.bin", "recycler", "system volume information", "lost+found",
    "thumbnail", "thumbnails", "thumbs", "_thumbnails", "_thumbs", "@__thumb",
}  # fmt: skip


def below(root: str | os.PathLike) -> list[pathlib.Path]:
    """All pictures below a folder, by their suffixes and sorted, if it is one.

    Hidden files and folders are left out, whose names start with ".", and those of
    systems, such as `@eaDir`, `__MACOSX` and `$RECYCLE.BIN`. So are run folders, whose
    pictures are plots.

    Raises:
      InputError: a folder cannot be looked into.
    """
    pictures, links = {}, {}
    # Links come last, so that a picture reached without one has its own path.
    folders, linked = deque([pathlib.Path(root)]), deque()
    visited = _around(root)
    while folders or linked:
        folder = folders.popleft() if folders else linked.popleft()
        real = os.path.realpath(folder)
        if real in visited or not os.path.isdir(folder):
            continue
        visited.add(real)
        for path in _visible(folder):
            if os.path.isdir(path):
                if _is_run(path):
                    continue
                (linked if path.is_symlink() else folders).append(path)
            elif path.suffix.lower() in SUFFIXES and os.path.isfile(path):
                if path.is_symlink():
                    links.setdefault(os.path.realpath(path), path)
                else:
                    pictures[os.path.join(real, path.name)] = path
    return sorted((links | pictures).values())


def folders(root: pathlib.Path) -> list[pathlib.Path]:
    """Folders in a folder, sorted, without those that `below` leaves out.

    A link to a folder that `root` is in is left out: it would hold all else once more.

    Raises:
      InputError: the folder cannot be looked into.
    """
    outer = {os.path.realpath(root), *_around(root)}
    return [
        path
        for path in _visible(root)
        if os.path.isdir(path)
        and os.path.realpath(path) not in outer
        and not _is_run(path)
    ]


def loose(root: pathlib.Path) -> list[pathlib.Path]:
    """Pictures in a folder itself, sorted, without those that `below` leaves out.

    Raises:
      InputError: the folder cannot be looked into.
    """
    return [
        path
        for path in _visible(root)
        if path.suffix.lower() in SUFFIXES and os.path.isfile(path)
    ]


def _is_run(folder: pathlib.Path) -> bool:
    """Whether a run, or a table of runs, was written there."""
    if not os.path.isfile(folder / "run.json"):
        return False
    return any(os.path.exists(folder / name) for name in ("env.json", "table.md"))


def _around(root: str | os.PathLike) -> set[str]:
    """Folders that a folder is in."""
    return {str(path) for path in pathlib.Path(os.path.realpath(root)).parents}


def _visible(folder: pathlib.Path) -> list[pathlib.Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"Cannot look into {folder}: {error.strerror}.") from error
    hidden = lambda name: name.startswith(".") or name.lower() in _SYSTEM
    return [folder / name for name in names if not hidden(name)]
