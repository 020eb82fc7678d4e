from ocjax import _markdown


def test_a_table_has_a_line_a_row_and_no_cell_ends_another():
    text = _markdown.table(["class", "AUROC"], [["a|b", "0.5"], iter(["c", "–"])])
    assert text == "| class | AUROC |\n| --- | --- |\n| a\\|b | 0.5 |\n| c | – |"
