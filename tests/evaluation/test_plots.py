import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import StepPatch

from ocjax.evaluation import metrics, plots


@pytest.fixture
def scored():
    rng = np.random.default_rng(0)
    anomalous = rng.permutation(np.arange(60) >= 40)
    return anomalous, rng.normal(anomalous, 1.0)


def rows(steps=100):
    return [
        {"step": i, "epoch": i // 10, "con": 10.0 ** (-i / 25), "adv": np.sin(i)}
        for i in range(steps)
    ]


def points(line):
    """The `x` and `y` of a drawn line."""
    return np.asarray(line.get_xydata(), float).T


def stairs(axes):
    return [patch for patch in axes.patches if isinstance(patch, StepPatch)]


def test_training_curves_have_one_panel_per_term():
    logged = [*rows(), {"step": 100, "epoch": 10, "eval": 1.0}, {"step": 101, "x": 2.0}]
    figure = plots.training_curves(logged, ["adv", "con", "x", "eval"])
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title("left") for axes in shown] == ["adv", "con", "x", "eval"]
    assert [axes.get_yscale() for axes in shown[:2]] == ["linear", "log"]
    raw, smooth = map(points, shown[0].lines)
    np.testing.assert_array_equal(raw[0], np.arange(100))
    assert smooth[1].std() < raw[1].std()


def test_smoothing_leaves_a_constant_alone_up_to_the_ends():
    logged = [{"step": i, "loss": 3.0} for i in range(100)]
    _, smooth = plots.training_curves(logged, ["loss"]).axes[0].lines
    np.testing.assert_allclose(points(smooth)[1], 3.0)


def test_a_term_that_was_never_logged_is_named():
    with pytest.raises(ValueError, match="a row with 'enc', got none in 100"):
        plots.training_curves(rows(), ["enc"])


def test_score_histogram_counts_every_image_of_each_class(scored):
    anomalous, scores = scored
    scores[0] = 1e6  # An extreme score goes to the last bin.
    figure = plots.score_histogram(scores[~anomalous], scores[anomalous], 0.5)
    (axes,) = figure.axes
    filled = [patch for patch in stairs(axes) if patch.get_fill()]
    assert [to_hex(patch.get_facecolor()) for patch in filled] == [
        plots.NORMAL,
        plots.ANOMALOUS,
    ]
    for patch in filled:
        assert patch.get_data()[0].sum() == pytest.approx(1)
    _, labels = axes.get_legend_handles_labels()
    assert sorted(labels) == ["anomalous (20)", "normal (40)", "threshold 0.5"]


@pytest.mark.parametrize("apart", [0.0, 1e-7])
def test_score_histogram_of_scores_that_hardly_differ_is_drawn(apart):
    normals = np.ones(5, np.float32)
    (axes,) = plots.score_histogram(normals, np.float32(1 + apart) * normals).axes
    assert stairs(axes)[0].get_data()[0].max() == 1


def test_roc_runs_from_corner_to_corner_and_states_its_area(scored):
    auroc = metrics.auroc(*scored)
    figure = plots.roc(*scored, interval=metrics.Interval(0.25, 0.75))
    (axes,) = figure.axes
    assert axes.get_title("left") == f"AUROC {auroc:.3f} (0.250 to 0.750)"
    x, y = points(axes.lines[1])
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(auroc)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("reconstructing", [False, True])
def test_image_grid_shows_both_ends_of_both_classes(scored, channels, reconstructing):
    anomalous, scores = scored
    images = np.zeros((60, 6, 8, channels), np.uint8) + np.arange(
        60, dtype=np.uint8
    ).reshape(60, 1, 1, 1)
    asked = []

    def reconstruct(x):
        asked.append(x[:, 0, 0, 0])
        return np.zeros(x.shape, np.float32)

    figure = plots.image_grid(
        images, anomalous, scores, reconstruct if reconstructing else None, columns=3
    )
    normals, anomalies = np.sort(scores[~anomalous]), np.sort(scores[anomalous])
    expected = [normals[:3], anomalies[:3], normals[:-4:-1], anomalies[:-4:-1]]
    for axes, group in zip(figure.axes, expected, strict=True):
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels == [f"{value:.3g}" for value in group]
    first = np.flatnonzero(scores == normals[0])[0]
    canvas = figure.axes[0].images[0].get_array()
    assert canvas is not None
    np.testing.assert_allclose(canvas[0, 0], first / 255)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["original", "reconstruction", "residual"][: len(names)]
    assert len(names) == (3 if reconstructing else 1)
    assert [len(index) for index in asked] == [12] * reconstructing


def test_image_grid_takes_floats_and_classes_smaller_than_a_row():
    images = np.linspace(-1, 1, 3 * 16, dtype=np.float32).reshape(3, 4, 4, 1)
    figure = plots.image_grid(images, [False, True, False], [0.0, 1.0, 2.0], np.copy)
    labels = [len(axes.get_xticklabels()) for axes in figure.axes]
    assert labels == [2, 1, 2, 1]


def test_drawing_changes_nothing_global(scored, tmp_path):
    before = dict(matplotlib.rcParams)
    plots.roc(*scored).savefig(tmp_path / "roc.png")
    assert dict(matplotlib.rcParams) == before
