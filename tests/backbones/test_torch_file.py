"""Files of `torch.save` are read as PyTorch reads them, and nothing in them is run."""

import collections
import io
import os
import pathlib
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest

from ocjax._checks import InputError
from ocjax.backbones import torch_file, weights

PEERS = pathlib.Path(__file__).parents[1] / "peers"
MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


@pytest.mark.parametrize("layout", ["archive", "pickles"])
def test_tensors_are_what_was_saved(layout):
    tensors = torch_file.read(PEERS / f"{layout}.pth")
    numbers = np.arange(24, dtype=np.float32).reshape(4, 6) / 4
    expected = {
        "whole": numbers,
        "view": numbers[1:, ::2].T,
        "half": numbers[0].astype(np.float16),
        "brain": numbers[0].astype(ml_dtypes.bfloat16),
        "count": np.array(7),
        "none": np.zeros((0, 3), np.float32),
    }
    assert list(tensors) == list(expected)
    for name, values in expected.items():
        assert tensors[name].dtype == values.dtype, name
        np.testing.assert_array_equal(tensors[name], values)


class Hostile:
    """A pickle that makes a file when it is unpickled as usual."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def pickles(*contents):
    return b"".join(pickle.dumps(content, 2) for content in contents)


def archived(content, names=("data.pkl",), **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name in names:
            archive.writestr(f"weights/{name}", content)
    return file.getvalue()


@pytest.mark.parametrize(
    "bring",
    [
        lambda bomb: pickles(bomb),
        lambda bomb: pickles(MAGIC, bomb),
        lambda bomb: pickles(MAGIC, 1001, bomb),
        lambda bomb: pickles(MAGIC, 1001, SYSTEM, {"a": bomb}),
        lambda bomb: pickles(MAGIC, 1001, SYSTEM, {}, bomb),
        lambda bomb: archived(pickle.dumps({"a": bomb}, 2)),
        lambda bomb: archived(pickle.dumps({"a": bomb}, 5)),
        lambda bomb: archived(pickle.dumps({"a": bomb}, 0)),
    ],
)
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, bring):
    made, path = tmp_path / "made", tmp_path / "weights.pth"
    path.write_bytes(bring(Hostile(made)))
    with pytest.raises(InputError) as caught:
        weights.of_file(path)
    assert not made.exists()
    assert "\n" not in str(caught.value)
    pickle.loads(pickle.dumps(Hostile(made)))  # It would have been.
    assert made.exists()


@pytest.mark.parametrize(
    "function", ["builtins.eval", "builtins.getattr", "posix.system", "torch.load"]
)
def test_the_function_that_a_pickle_asks_for_is_named(tmp_path, function):
    module, _, name = function.rpartition(".")
    asking = b"\x80\x02c" + f"{module}\n{name}\n".encode() + b")R."
    (tmp_path / "weights.pt").write_bytes(archived(asking))
    with pytest.raises(InputError, match=f"it asks for {function}, and only tensors"):
        weights.of_file(tmp_path / "weights.pt")


def tensor(arguments, storage=("storage", "torch\nFloatStorage", "0", "cpu", 4)):
    """A pickle of one tensor, of which a file says what is given."""
    kind, dtype, *rest = storage
    written = lambda value: pickle.dumps(value, 2)[2:-1]
    return (
        b"\x80\x02}" + written("a") + b"ctorch._utils\n_rebuild_tensor_v2\n"
        b"((" + written(kind) + b"c" + dtype.encode() + b"\n"
        b"" + b"".join(map(written, rest)) + b"tQ"
        b"" + b"".join(map(written, arguments)) + b"tRs."
    )


def read_tensor(tmp_path, content, data=bytes(16)):
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data.pkl", content)
        archive.writestr("weights/data/0", data)
    return weights.of_file(path)


def test_a_tensor_must_lie_inside_its_storage(tmp_path):
    hooks = False, collections.OrderedDict()
    inside = read_tensor(tmp_path, tensor((0, (2, 2), (2, 1), *hooks)))
    assert inside["a"].shape == (2, 2)
    for offset, shape, strides in [
        (1, (2, 2), (2, 1)),  # Ends behind it.
        (0, (5,), (1,)),
        (0, (9, 9), (0, 0)),  # Has more numbers.
        (-1, (2,), (1,)),
        (3, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2, 2), (1,)),
        (0, (2.0,), (1,)),
        ("0", (2,), (1,)),
        (0, 2, 1),
    ]:
        with pytest.raises(InputError, match="holds no readable weights: "):
            read_tensor(tmp_path, tensor((offset, shape, strides, *hooks)))


def test_a_storage_is_what_the_file_says(tmp_path):
    whole = 0, (4,), (1,), False, None
    for storage in [
        ("module", "torch\nFloatStorage", "0", "cpu", 4),
        ("storage", "collections\nOrderedDict", "0", "cpu", 4),
        ("storage", "torch\nComplexStorage", "0", "cpu", 4),
        ("storage", "torch\nFloatStorage", "1", "cpu", 4),  # Is not there.
        ("storage", "torch\nFloatStorage", "0", "cpu", -4),
        ("storage", "torch\nFloatStorage", "0", "cpu"),
    ]:
        with pytest.raises(InputError, match="holds no readable weights: "):
            read_tensor(tmp_path, tensor(whole, storage))
    with pytest.raises(InputError, match="exceeds its 3 numbers"):
        read_tensor(tmp_path, tensor(whole), bytes(12))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickles(12), "does not begin as PyTorch's files do"),
        (pickles(MAGIC, 1001, SYSTEM | {"little_endian": False}), "big-endian"),
        (pickles(MAGIC, 1001, SYSTEM, [1, 2]), "no dictionary of tensors"),
        (pickles(MAGIC, 1001, SYSTEM, {}), "no dictionary of tensors"),
        (pickles(MAGIC, 1001, SYSTEM, {"a": 1}), "'a' in it is no tensor"),
        (pickles(MAGIC, 1001, SYSTEM, {1: 1}), "a name in it is no text"),
        (archived(b"", names=("other",)), "an archive of something else"),
        (archived(b"", names=("data.pkl", "b/data.pkl")), "of something else"),
        (archived(b"", compression=zipfile.ZIP_DEFLATED), "a compressed archive"),
    ],
)
def test_another_file_is_told_from_weights(tmp_path, content, message):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        weights.of_file(path)


@pytest.mark.parametrize("layout", ["archive", "pickles"])
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path, layout):
    whole = (PEERS / f"{layout}.pth").read_bytes()
    path = tmp_path / "weights.pth"
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            weights.of_file(path)


@pytest.mark.parametrize("layout", ["archive", "pickles"])
def test_a_flipped_bit_raises_one_line_at_most(tmp_path, layout):
    whole = (PEERS / f"{layout}.pth").read_bytes()
    path = tmp_path / "weights.pth"
    for place in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            weights.of_file(path)
        except InputError as error:
            assert "\n" not in str(error)
