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


def test_norms_of_gradients_share_the_last_panel():
    logged = [*rows(), {"step": 100, "gradient_con": 0.0, "gradient_adv": 5.0}]
    logged += [{"step": 200, "gradient_con": 1e-3, "gradient_adv": 7.0}]
    figure = plots.training_curves(logged, ["gradient_con", "gradient_adv", "con"])
    con, norms = figure.axes
    assert con.get_title("left") == "con"
    assert [line.get_label() for line in norms.lines] == ["con", "adv"]
    assert norms.get_yscale() == "log"
    # A stage's terms are seen where they were logged.
    assert con.get_xlim() == norms.get_xlim()
    assert con.get_xlim()[1] > 200


def test_a_term_that_was_logged_once_is_seen():
    axes = plots.training_curves([{"step": 1, "loss": 3.0}], ["loss"]).axes[0]
    assert axes.lines[1].get_marker() == "o"


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

    steps = {"G(x)": np.copy, "reconstruction": reconstruct} if reconstructing else {}
    figure = plots.image_grid(images, anomalous, scores, steps, columns=3)
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
    assert names == (["original", *steps, "residual"] if steps else ["original"])
    assert [len(index) for index in asked] == [12] * reconstructing


def test_the_residual_is_that_of_the_last_step():
    images = np.zeros((2, 4, 4, 1), np.float32)
    worse = lambda x: x + np.linspace(0, 1, 4, dtype=np.float32)[:, None]
    residual_of = lambda steps: np.asarray(
        plots.image_grid(images, [False, True], [0.0, 1.0], steps)
        .axes[0]
        .images[0]
        .get_array()
    )[-5:-1, :4]
    assert residual_of({"worse": worse, "same": np.copy}).max() < 0.02  # Black.
    assert residual_of({"same": np.copy, "worse": worse})[:, 3].min() > 0.7


def test_image_grid_takes_floats_and_classes_smaller_than_a_row():
    images = np.linspace(-1, 1, 3 * 16, dtype=np.float32).reshape(3, 4, 4, 1)
    figure = plots.image_grid(images, [False, True, False], [0.0, 1.0, 2.0])
    labels = [len(axes.get_xticklabels()) for axes in figure.axes]
    assert labels == [2, 1, 2, 1]


def shade(figure, line, column, width=4, frame=1):
    """The frame's and the picture's colour of one image of a gallery."""
    canvas = np.asarray(figure.axes[line].images[0].get_array())
    left = column * (width + 2 * frame + frame)
    return to_hex(canvas[0, left]), canvas[1, left + frame]


def test_most_anomalous_images_come_in_order_in_frames_of_their_class(scored):
    anomalous, scores = scored
    images = np.zeros((60, 4, 4, 1), np.uint8) + np.arange(60, dtype=np.uint8).reshape(
        60, 1, 1, 1
    )
    figure = plots.most_anomalous(images, anomalous, scores, count=5, columns=3)
    order = np.argsort(-scores)[:5]
    labels = [
        label.get_text() for axes in figure.axes for label in axes.get_xticklabels()
    ]
    assert labels == [f"{scores[i]:.3g}" for i in order]
    for place, i in enumerate(order):
        frame, picture = shade(figure, *divmod(place, 3))
        assert frame == (plots.ANOMALOUS if anomalous[i] else plots.NORMAL)
        np.testing.assert_allclose(picture, i / 255)
    found = anomalous[order].sum()
    title = figure.axes[0].get_title("left")
    assert title == f"{found} anomalous and {5 - found} normal images"


def test_the_nearest_normal_parts_are_below_the_most_anomalous_images():
    images = np.zeros((3, 4, 4, 1), np.uint8)
    images[1, :2, :2] = 200  # The upper left, its odd part.
    normals = np.zeros((9, 4, 4, 1), np.uint8) + np.uint8(10)
    normals[7, 2:, 2:], normals[8, :2, 2:] = 100, 60
    corners = {"left": [0, 0, 0.5, 0.5], "right": [0.5, 0.5, 1, 1]}

    def find(chosen):
        np.testing.assert_array_equal(chosen, images[[1, 2]])
        odd = np.array([corners["left"]] * 2)
        parts = np.array([[corners["right"], [0.5, 0, 1, 0.5]]] * 2)
        return odd, np.array([[7, 8], [7, 0]]), parts

    figure = plots.nearest(
        images, [False, True, False], [1, 3, 2], find, lambda i: normals[i], columns=2
    )
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["image", "oddest part", "nearest normal", "2."]
    canvas = np.asarray(axes.images[0].get_array())
    # Cells of 4 pixels in frames of one, gaps of one below and beside them.
    inside = lambda row, column: canvas[7 * row + 1 :, 7 * column + 1 :][:4, :4, 0]
    np.testing.assert_allclose(inside(1, 0), 200 / 255)
    np.testing.assert_allclose(inside(2, 0), 100 / 255)
    np.testing.assert_allclose(inside(3, 0), 60 / 255)
    np.testing.assert_allclose(inside(3, 1), 10 / 255)


def test_split_shows_the_outer_ends_of_the_grade():
    grade = np.array([0.5, 0.1, 0.9, 0.2, 0.7, 0.8])
    members = {"typical": np.array([0, 2, 4, 5]), "atypical": np.array([1, 3])}
    images = np.zeros((6, 4, 4, 3), np.uint8)
    figure = plots.split(images, members, grade, "ssim", count=3, columns=3)
    typical, atypical = figure.axes
    labels = lambda axes: [label.get_text() for label in axes.get_xticklabels()]
    assert labels(typical) == ["0.9", "0.8", "0.7"]
    assert labels(atypical) == ["0.1", "0.2"]
    assert typical.get_title("left") == "typical (4), highest ssim first"
    assert atypical.get_title("left") == "atypical (2), lowest ssim first"
    assert shade(figure, 0, 0)[0] != shade(figure, 1, 0)[0]


def test_manifold_of_two_dimensions_is_the_latent_itself():
    """The first coordinate grows to the right, the second upwards."""
    latents = np.random.default_rng(0).uniform(-1, 1, (2000, 2)).astype(np.float32)
    asked = []

    def decode(z):
        asked.append(z)
        return np.zeros((len(z), 2, 2, 1)) + z[:, :1].reshape(-1, 1, 1, 1)

    (axes,) = plots.manifold(latents, decode, size=3).axes
    (points,) = asked
    low, high = np.quantile(latents, [0.02, 0.98], axis=0)
    np.testing.assert_allclose(points[0], [low[0], high[1]], rtol=1e-5)
    np.testing.assert_allclose(points[-1], [high[0], low[1]], rtol=1e-5)
    canvas = np.asarray(axes.images[0].get_array())
    assert canvas.shape == (9, 9, 3)  # A pixel lies between two images.
    assert (np.diff(canvas[::3, ::3, 0], axis=1) > 0.4).all()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z1", "z2")


@pytest.mark.parametrize("spread", [1.0, 0.0])
def test_manifold_follows_the_directions_of_most_variance(spread):
    rng = np.random.default_rng(0)
    latents = 3 + spread * rng.normal(size=(500, 5)) * [0.1, 4, 0.1, 2, 0.1]
    asked = []

    def decode(z):
        asked.append(z)
        return np.zeros((len(z), 2, 2, 3))

    (axes,) = plots.manifold(latents, decode, size=4).axes
    across = np.abs(asked[0][3] - asked[0][0])
    assert across.argmax() == 1 or not spread
    assert axes.get_xlabel().startswith("principal component 1 (")
    np.testing.assert_allclose(asked[0].mean(axis=0), 3, atol=0.3)


def test_latents_of_each_kind_are_in_one_plane(scored):
    anomalous, _ = scored
    z = np.random.default_rng(0).normal(size=(60, 4)) * [1, 5, 1, 2]
    figure = plots.latents({"z": z, "z_hat": z + [0, 10, 0, 0]}, anomalous)
    first, second = figure.axes
    assert (first.get_title("left"), second.get_title("left")) == ("z", "z_hat")
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()
    at, moved = (np.asarray(axes.collections[0].get_offsets()) for axes in figure.axes)
    along = np.abs((moved - at).mean(axis=0))
    assert along[0] == pytest.approx(10, rel=0.02)
    assert first.get_aspect() == 1
    colors = [to_hex(c) for c in np.asarray(first.collections[0].get_facecolor())]
    assert colors == [plots.ANOMALOUS if a else plots.NORMAL for a in anomalous]


def test_a_plane_needs_two_dimensions():
    with pytest.raises(ValueError, match=r"D > 1, got \(2, 1\)"):
        plots.latents({"z": np.zeros((3, 1))}, [False, False, True])


def test_measures_are_histograms_or_means_per_channel(scored):
    anomalous, scores = scored
    weights = np.array([[0.5, 0.1, 0.9]]) + anomalous[:, None]
    figure = plots.measures({"entropy": scores, "weights": weights}, anomalous)
    histogram, channels = figure.axes
    assert len(stairs(histogram)) == 4
    auroc = metrics.auroc(anomalous, scores)
    assert histogram.get_xlabel() == f"AUROC {auroc:.3f}"
    of_anomalies, of_normals = map(points, channels.lines)
    np.testing.assert_allclose(of_normals[1], [0.1, 0.5, 0.9])
    np.testing.assert_allclose(of_anomalies[1], [1.1, 1.5, 1.9])
    assert [line.get_color() for line in channels.lines] == [
        plots.ANOMALOUS,
        plots.NORMAL,
    ]


@pytest.mark.parametrize("groups", [{}, {"typical": [0.0, 0.2], "atypical": []}])
def test_distances_have_a_panel_for_groups_and_leave_out_what_is_empty(groups):
    figure = plots.distances([0.1, 0.2], [0.9], groups)
    labels = [[text.get_text() for text in a.get_legend().texts] for a in figure.axes]
    of_test = ["normal, normal", "normal, anomalous"]
    assert labels == [of_test, *[["typical, typical"]] * bool(groups)]
    assert {axes.get_xlim() for axes in figure.axes} == {(0, 1)}


def test_drawing_changes_nothing_global(scored, tmp_path):
    before = dict(matplotlib.rcParams)
    plots.roc(*scored).savefig(tmp_path / "roc.png")
    assert dict(matplotlib.rcParams) == before
