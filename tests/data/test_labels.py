import os
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ocjax import data
from ocjax._checks import InputError
from ocjax.data import dataset

ROWS = "a.png,good,train b.png,good,train c.png,good,test d.png,hole,".split()


def write(path, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), level, np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    for level, name in enumerate("abcd"):
        write(tmp_path / "parts" / f"{name}.png", level)
    return tmp_path / "parts"


def load(root, text=None, encoding="utf-8") -> Any:  # No field is None here.
    if text is not None:
        (root / "labels.csv").write_bytes(text.encode(encoding))
    return data.load("folder", data_dir=root, size=4)


def table(rows=ROWS, header="path,label,split", end="\n"):
    return end.join([header, *rows]) + end


def assert_whole(found):
    assert found.paths == ("a.png", "b.png", "c.png", "d.png")
    assert found.class_names == ("good", "hole")
    assert found.labels.tolist() == [0, 0, 0, 1]
    assert found.official_test.tolist() == [False, False, True, True]


TABLES = {
    "plain": table(),
    "without the last line's end": table().rstrip(),
    "lines as Windows ends them": table(end="\r\n"),
    "lines as old Macs ended them": table(end="\r"),
    "empty lines": "\n\n" + table(end="\n\n") + " \n,,\n",
    "spaces and case of columns": table(header=" Path , LABEL,Split ").replace(
        ",good,train", " , good , Train "
    ),
    "quoted": table(
        [f'"{row.split(",", 1)[0]}",{row.split(",", 1)[1]}' for row in ROWS]
    ),
    "semicolons": table().replace(",", ";"),
    "tabs": table().replace(",", "\t"),
    "a mark": "\ufeff" + table(),
    "normal": table().replace("good", "normal"),
    "dots": table([f"./x/../{row}" for row in ROWS]),
    "more columns": table([f"{row},1" for row in ROWS], "path,label,split,area"),
    "a quoted line's end": table(
        [f'{row},"two\nlines"' for row in ROWS], "path,label,split,note"
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read_as_spreadsheets_write_them(root, name):
    (root / "x").mkdir()
    assert_whole(load(root, TABLES[name]))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_encodings_with_a_mark_are_read(root, encoding):
    assert_whole(load(root, table(), encoding))


def test_the_case_of_the_name_of_a_table_does_not_matter(root):
    (root / "Labels.CSV").write_text(table())
    assert_whole(load(root))
    with pytest.raises(InputError, match="Labels.CSV and labels.csv; one table is exp"):
        load(root, table())


def test_paths_may_be_whole_and_of_windows_and_elsewhere(root, monkeypatch):
    write(root / "deep" / "e.png")
    write(root.parent / "other" / "f.png")
    rows = [f"{root}/{ROWS[0]}", *ROWS[1:], "deep\\e.png,good,train"]
    rows += [f"{root.parent}/other/f.png,good,test"]
    paths = ("a.png", "b.png", "deep/e.png")
    tests = (f"{root.parent}/other/f.png", "c.png", "d.png")
    first = load(root, table(rows))
    assert first.paths == (*paths, *tests)
    monkeypatch.chdir(root.parent)
    (root.parent / "link").symlink_to("parts")
    for spelling in ("parts", "./link", "link/../parts"):
        again: Any = data.load("folder", data_dir=spelling, size=4)
        assert again.paths == first.paths
        assert dataset.fingerprint(again) == dataset.fingerprint(first)


def test_names_of_any_bytes_are_found(root):
    os.rename(root / "a.png", os.fsencode(root) + b"/\xe9.png")
    text = table().encode().replace(b"a.png", b"\xe9.png")
    (root / "labels.csv").write_bytes(text)
    assert os.fsencode(load(root).paths[1]) == b"\xe9.png"


def test_groups_draw_the_same_test_part_wherever_the_folder_lies(tmp_path):
    tests = []
    for place in ("x", "a/long/way"):
        root = tmp_path / place
        for i in range(20):
            write(root / f"{i:02}.png", i)
        rows = [f"{i:02}.png,{'good' if i < 18 else 'bad'}," for i in range(20)]
        rows = [row + f"grp{i}" * (i < 9) for i, row in enumerate(rows)]
        found = load(root, table(rows, "path,label,group"))
        tests.append([found.paths[i] for i in np.flatnonzero(found.official_test)])
    assert tests[0] == tests[1] and len(tests[0]) == 3 + 2


TWICE = {
    "again": "a.png,good,train",
    "tests too": "a.png,good,test",
    "anomalous too": "a.png,hole,",
    "spelled with a dot": "./a.png,good,test",
    "spelled whole": "ROOT/a.png,good,test",
    "of Windows": ".\\a.png,good,test",
    "a link": "link.png,good,test",
}


@pytest.mark.parametrize("name", TWICE)
def test_a_picture_is_listed_once(root, name):
    (root / "link.png").symlink_to("a.png")
    rows = [*ROWS, TWICE[name].replace("ROOT", str(root))]
    with pytest.raises(InputError, match=r"line 6: .* is listed in line 2 already"):
        load(root, table(rows))


WRONG = {
    "a.png,Good,train": "line 2: expected the label good for a good picture, got 'Go",
    "a.png,GOOD,": "expected the label good for a good picture, got 'GOOD'",
    "a.png,Normal,test": "expected the label good for a good picture, got 'Normal'",
    "a.png,OK,test": "expected the label good for a good picture, got 'OK'",
    "a.png,no defect,test": "expected the label good for a good picture",
    "a.png,bad,train": "line 2: only 'good' may train, got 'bad'",
    "a.png,good": "line 2: expected 3 cells, got 2",
    "a.png,good,train,x": "line 2: expected 3 cells, got 4",
    ",good,train": "line 2: expected a path and a label",
    "a.png,,": "line 2: expected a path and a label",
    "a.png,good,val": "line 2: expected split train or test, got 'val'",
    "e.png,good,train": "line 2: there is no file .*e.png",
    ".,good,train": "line 2: there is no file",
    f"{'x' * 300}.png,good,train": "line 2: there is no file",
    'a.png,"good,train': "is no readable CSV",
    'a.png,"good"x,train': "line 2, is no readable CSV",
    "a.png\0,good,train": "is no readable text: it has zero bytes",
}


@pytest.mark.parametrize("row", WRONG)
def test_a_wrong_row_is_named_in_one_line(root, row):
    with pytest.raises(InputError, match=WRONG[row]) as error:
        load(root, table([row, *ROWS[1:]]))
    assert "labels.csv" in str(error.value) and "\n" not in str(error.value)


HEADERS = {
    "": "is empty: expected the columns path and label",
    "\n\n": "is empty",
    "a.png,good\n": "expected a header with the columns path and label",
    "path,split\na.png,train\n": "expected a header with the columns path and label",
    "path,label,path\n": "expected one column path, got several",
    "path,label,split\n": "has no good pictures that train",
}


@pytest.mark.parametrize("text", HEADERS)
def test_a_wrong_header_is_said(root, text):
    with pytest.raises(InputError, match=HEADERS[text]):
        load(root, text)


def test_bytes_that_are_no_text_are_refused(root):
    for content in (b"\xff\xfea", b"\x89PNG\0\0", b"\xff\xfe\x00\xd8"):
        (root / "labels.csv").write_bytes(content)
        with pytest.raises(InputError, match="labels.csv is no readable text"):
            load(root)
