import pytest
from collected import each


def test_every_case_that_fails_is_named_and_none_is_passed_over():
    ran = []

    @each("number, name", [(1, "a"), (2, "b"), (3, "c"), (4, "d")])
    def some(name, number):
        ran.append(number)
        assert number != 2
        if number == 3:
            with pytest.raises(ValueError):
                pass
        if number == 4:
            raise SystemExit(2)

    with pytest.raises(BaseExceptionGroup, match="3 of 4 cases failed") as caught:
        some()
    assert ran == [1, 2, 3, 4]
    notes = [error.__notes__ for error in caught.value.exceptions]
    assert notes == [
        ["The case was 2, 'b'."],
        ["The case was 3, 'c'."],
        ["The case was 4, 'd'."],
    ]


def test_no_case_is_no_success():
    with pytest.raises(AssertionError, match="no case"):
        each("x", [])(lambda x: None)()


@each("x", ["one", "two"])
def test_cases_have_their_own_folders_and_output(x, tmp_path, capsys):
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    print(x)
    assert capsys.readouterr().out == f"{x}\n"
    print("more")
