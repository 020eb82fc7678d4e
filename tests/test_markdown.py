import pytest

from ocjax import _markdown


def test_a_table_has_a_line_a_row_and_no_cell_ends_another():
    text = _markdown.table(["class", "AUROC"], [["a|b", "0.5"], iter(["c", "–"])])
    assert text == "| class | AUROC |\n| --- | --- |\n| a\\|b | 0.5 |\n| c | – |"


def test_text_between_marker_lines_is_replaced_and_missing_ones_are_named():
    page = "a\n<b>\nold\n</b>\nz"
    found = _markdown.replaced(page, "<b>", "</b>", "new")
    assert found == "a\n<b>\nnew\n</b>\nz"
    with pytest.raises(ValueError, match="<c> and </c> are missing"):
        _markdown.replaced(page, "<c>", "</c>", "new")
