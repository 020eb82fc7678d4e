import warnings

import pytest

from ocjax.runs import environment


@pytest.mark.parametrize("doing", ["reading", "writing"])
def test_damaged_programs_are_removed_without_a_word(tmp_path, doing):
    said = []
    show = lambda message, *_, **__: said.append(str(message))
    for name in ("jit_neg-1f-cache", "jit_neg-2a-cache", "jit_negative-1f-cache"):
        (tmp_path / name).touch()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        environment.remove_damaged_programs(tmp_path)
        warnings.warn(
            f"Error {doing} persistent compilation cache entry for 'jit_neg': error: "
            "Error -5 while decompressing data",
            stacklevel=1,
        )
        warnings.warn("Something else.", stacklevel=1)
    assert said == ["Something else."]
    assert [path.name for path in tmp_path.iterdir()] == ["jit_negative-1f-cache"]
