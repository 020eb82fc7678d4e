"""How synthetic anomalies rank methods, by hand."""

import math
import pathlib
import shutil

import pytest
import ranking

EXPERIMENTS = pathlib.Path(ranking.__file__).parent


def comparison(**methods):
    """Methods with AUROCs of real anomalies, of erased boxes and of noise."""
    return {
        "dataset": "mnist",
        "class": "4",
        "methods": {
            name: [auroc, {"erased": erased, "noisy": noisy}]
            for name, (auroc, erased, noisy) in methods.items()
        },
    }


# By AUROC a < b < c < d. By erased boxes b < a < c < d: ranks differ by 1, 1, 0, 0, so
# the correlation is 1 - 6 * 2 / (4 * 15) = 0.8. By noise the order is the opposite. By
# the mean (0.45, 0.35, 0.4, 0.35), whose ranks are 4, 1.5, 3, 1.5, it is -0.63.
FOUR = comparison(
    a=(0.6, 0.2, 0.7), b=(0.7, 0.1, 0.6), c=(0.8, 0.3, 0.5), d=(0.9, 0.4, 0.3)
)


@pytest.mark.parametrize(
    "kind, expected", [("erased", 0.8), ("noisy", -1.0), (ranking.MEAN, -0.6325)]
)
def test_a_rank_correlation_by_hand(kind, expected):
    assert ranking.correlation(FOUR, kind) == pytest.approx(expected, abs=1e-4)


def test_two_methods_or_equal_ones_have_no_correlation():
    two = comparison(a=(0.6, 0.2, 0.7), b=(0.7, 0.1, 0.6))
    equal = comparison(a=(0.6, 0.2, 1), b=(0.7, 0.2, 1), c=(0.8, 0.2, 1))
    assert math.isnan(ranking.correlation(two, "erased"))
    assert math.isnan(ranking.correlation(equal, "noisy"))


def test_the_table_tells_what_would_have_been_chosen():
    text = ranking.table([FOUR, FOUR])
    assert "| mnist, 4 | 4 | -0.63 | +0.80 | -1.00 | a, 0.600 | d, 0.900 |" in text
    assert "| mean |  | -0.63 | +0.80 | -1.00 |" in text


def test_the_page_is_that_of_its_lines(tmp_path):
    for name in ("ranking.md", "ranking.jsonl"):
        shutil.copy(EXPERIMENTS / name, tmp_path)
    ranking.render(tmp_path)
    again, page = tmp_path / "ranking.md", EXPERIMENTS / "ranking.md"
    assert again.read_text() == page.read_text()


def test_a_folder_without_a_comparison_costs_a_line(tmp_path):
    with pytest.raises(SystemExit, match="run `ocjax compare`"):
        ranking.kept(tmp_path)
