"""Uploaded files, held in memory and never larger than is allowed."""

import contextlib
from collections.abc import AsyncGenerator
from typing import NamedTuple

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

FILES = 32  # Most files of a request.
FILE_BYTES = 20 * 2**20  # Largest size of a file.
REQUEST_BYTES = 128 * 2**20  # Largest size of a request.
_FIELD, _OTHER_FIELDS = "file", 8  # Field of the files, most fields beside it.
_NAME = 120  # Most characters of a file's name in an answer.


class Upload(NamedTuple):
    """An uploaded file."""

    name: str  # One line without folders.
    content: bytes


async def read(request: Request) -> list[Upload]:
    """Reads the files of a form's field `file`.

    Raises:
      HTTPException: the request is too large or no such form; it says why in one line.
    """
    _check_announced(request)
    try:
        async with contextlib.aclosing(_limited(request)) as content:
            form = await _Parser(
                request.headers, content, max_files=FILES, max_fields=_OTHER_FIELDS
            ).parse()
    except MultiPartException as error:
        status = 413 if error.message.startswith("Too many") else 400
        raise HTTPException(status, error.message) from error
    except ClientDisconnect:
        raise HTTPException(400, "The upload was broken off.") from None
    try:
        sent = [file for file in form.getlist(_FIELD) if isinstance(file, UploadFile)]
        if not sent:
            raise HTTPException(422, f"Send pictures in the form's field {_FIELD!r}.")
        return [Upload(one_line(x.filename or ""), await x.read()) for x in sent]
    finally:
        await form.close()


def one_line(name: str) -> str:
    """A client's name of a file, fit for a line: no folders, nothing unprintable."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    last = "".join(c if c.isprintable() else "?" for c in last).strip()
    if len(last) > _NAME:
        last = last[: _NAME // 2] + "…" + last[-_NAME // 2 + 1 :]
    return last or "picture"


def _check_announced(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise HTTPException(415, "Send pictures as multipart/form-data.")
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise HTTPException(411, "Send the request's length as Content-Length.")
    if int(length[:20]) > REQUEST_BYTES:
        raise _too_large("A request")


async def _limited(request: Request) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > REQUEST_BYTES:
            raise _too_large("A request")
        yield chunk


def _too_large(what: str) -> HTTPException:
    most = REQUEST_BYTES if what == "A request" else FILE_BYTES
    return HTTPException(413, f"{what} may have at most {most >> 20} MiB.")


class _Parser(MultiPartParser):
    spool_max_size = 0  # 0 keeps files in memory, so that none is written to a disk.

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self._bytes = 0

    def on_part_begin(self) -> None:
        self._bytes = 0
        super().on_part_begin()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._bytes += end - start
        if self._bytes > FILE_BYTES:
            raise _too_large("A file")
        super().on_part_data(data, start, end)
