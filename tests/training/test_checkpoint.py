import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax._checks import InputError
from ocjax.methods.base import State
from ocjax.training.checkpoint import Checkpoints, keep_newest


def _state(step, fill=1.0):
    kernel = fill * jnp.arange(2000.0).reshape(50, 40)
    return State(
        params={"net": {"kernel": kernel}},
        stats={"net": {}},
        opt={"loss": (jnp.int32(step), {"net": -kernel})},
        step=jnp.int32(step),
    )


@pytest.fixture
def folder(tmp_path):
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        for step in (1, 2, 3, 4):
            checkpoints.save(_state(step, fill=step))
    return tmp_path / "checkpoints"


def _restore(folder):
    with Checkpoints(folder) as checkpoints:
        return checkpoints.restore(jax.eval_shape(lambda: _state(0)))


def _damage(folder, how):
    files = [path for path in (folder / "state").rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    if how == "bit flipped":
        content[len(content) // 2] ^= 1
    largest.write_bytes(content[: len(content) // (2 if how == "truncated" else 1)])
    if how == "removed":
        largest.unlink()


def _assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_the_newest_state_comes_back_to_the_bit(folder):
    restored = _restore(folder)
    assert jax.tree.structure(restored) == jax.tree.structure(_state(4))
    _assert_equal(restored, _state(4, fill=4))


def test_only_the_newest_few_stay(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["2", "3", "4"]


def test_an_empty_folder_has_no_state(tmp_path):
    assert _restore(tmp_path / "new") is None


@pytest.mark.parametrize("how", ["truncated", "bit flipped", "removed"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_restored(
    folder, how, caplog
):
    _damage(folder / "4", how)
    _assert_equal(_restore(folder), _state(3, fill=3))
    assert "Checkpoint" in caplog.text and "is damaged" in caplog.text
    assert (folder.parent / "damaged_checkpoints" / "4").is_dir()
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(_state(4, fill=5))
    _assert_equal(_restore(folder), _state(4, fill=5))


def test_of_a_finished_run_the_newest_checkpoint_stays(folder):
    keep_newest(folder)
    assert [path.name for path in folder.iterdir()] == ["4"]
    state = _restore(folder)
    assert state is not None and state.step == 4


def test_a_step_that_is_damaged_again_is_set_aside_again(folder):
    for _ in range(3):
        _damage(folder / "4", "truncated")
        _assert_equal(_restore(folder), _state(3, fill=3))
        with Checkpoints(folder) as checkpoints:
            checkpoints.save(_state(4, fill=5))
    aside = folder.parent / "damaged_checkpoints"
    assert sorted(p.name for p in aside.iterdir()) == ["4", "4-1", "4-2"]


def test_nothing_whole_is_refused(folder):
    for step in ("2", "3", "4"):
        _damage(folder / step, "truncated")
    for _ in range(2):  # Nothing is moved, so it is not taken for a new run.
        with pytest.raises(InputError, match="No checkpoint in .* can be read"):
            _restore(folder)


@pytest.mark.parametrize("name", ["bottle [1]", "back\\slash", "caf\udce9"])
def test_folders_of_any_name_are_read_back(tmp_path, name):
    with Checkpoints(tmp_path / name) as checkpoints:
        checkpoints.save(_state(5, fill=5))
    _assert_equal(_restore(tmp_path / name), _state(5, fill=5))


def test_a_full_disk_is_an_error_of_the_system_and_leaves_what_was_there(
    folder, monkeypatch, capfd
):
    (folder / "5.orbax-checkpoint-tmp").mkdir()

    def full(self, step, args):
        raise ValueError(
            'RESOURCE_EXHAUSTED: Error writing "state/d/1" [OS error 28: ENOSPC]'
        )

    with Checkpoints(folder) as checkpoints:
        monkeypatch.setattr(type(checkpoints._manager), "save", full)
        with pytest.raises(OSError, match=r"\[Errno 28\] .*checkpoints"):
            checkpoints.save(_state(5))
    assert sorted(path.name for path in folder.iterdir()) == ["2", "3", "4"]
    _assert_equal(_restore(folder), _state(4, fill=4))
    assert "Traceback" not in capfd.readouterr().err
