"""What is drawn of a method, tried on one whose views are a line each."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from summaries import JUDGEMENT

from ocjax import data, runs
from ocjax.methods import Groups, Method, Stage, State, Views
from ocjax.methods.base import Nearest
from ocjax.runs import pictures
from ocjax.runs.config import parse
from ocjax.runs.folder import RunFolder
from ocjax.runs.task import Task

ALWAYS = ["score_histogram", "roc", "examples", "image_grid", "most_anomalous"]


@pytest.fixture(scope="module")
def task():
    """Twenty normal images are trained on; of forty others ten are anomalous."""
    config = runs.configure(epochs=1).to_dict()
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 1), np.uint8)
    labels = np.arange(60) // 50
    names = ("zero", "one")
    dataset = data.Dataset("made", images, labels, np.arange(60) >= 40, names)
    split = data.Split(
        np.arange(0, 40, 2), np.arange(0), np.arange(40, 60), np.arange(20) >= 10
    )
    parsed, hyper, _ = parse(config)
    return Task(parsed, hyper, 0, dataset, 0, split)


def embed(state, x):
    """The images' means by rows; `[B, 8]`."""
    return state.params["scale"] * x.mean(axis=(2, 3))


def decode(state, z, shape):
    return jnp.broadcast_to(z[:, :, None, None], (len(z), *shape))


def reconstruct(state, x):
    return decode(state, embed(state, x), x.shape[1:])


def grade(state, images):
    return -images.mean(axis=(1, 2, 3))


def divide(grades):
    values = np.linspace(1, 0, len(grades))
    return Groups(
        {"typical": np.arange(15), "atypical": np.arange(15, 20)}, {"grade": values}
    )


def distance(state, x, others):
    return jnp.abs(embed(state, x) - embed(state, others)).mean(axis=1) / 2


def nearest(state, x):
    """The fourth, the second and the first training image, by their right half."""
    half, count = jnp.array([0.5, 0.0, 1.0, 1.0]), len(x)
    numbers = jnp.broadcast_to(jnp.array([3, 1, 0]), (count, 3))
    return Nearest(
        jnp.broadcast_to(half, (count, 4)),
        numbers,
        jnp.broadcast_to(half, (count, 3, 4)),
    )


ONE_STAGE = (Stage(lambda *_: None),)


def method(stages=ONE_STAGE, **parts):
    """A method of which nothing but `parts` is asked."""
    score = lambda state, x: x.mean(axis=(1, 2, 3))
    return Method(None, stages, score, {}, **parts)  # pyright: ignore[reportArgumentType]


EVERYTHING = method(
    stages=(
        Stage(lambda *_: None, epochs=1),
        Stage(lambda *_: None, grade=grade, divide=divide),
    ),
    reconstruct=reconstruct,
    embed=embed,
    views=Views(
        images={"G(x)": reconstruct},
        latents={"z": embed, "again": lambda state, x: 2 * embed(state, x)},
        measures={
            "rows": embed,
            "brightness": lambda state, x: x.mean(axis=(1, 2, 3)),
        },
        decode=decode,
        distance=distance,
        nearest=nearest,
    ),
)


def row_means(task):
    """The latents of all images, without jax."""
    return (task.dataset.images / 127.5 - 1).mean(axis=(2, 3))


def drawn(task, method, folder):
    state = State({"scale": jnp.ones(())}, {}, {}, jnp.zeros((), int))
    scores = np.arange(20.0)
    folder, groups = RunFolder(folder), pictures.divided(task, method, state)
    if groups is not None:
        pictures.write_split(folder, task, groups)
    judgement, rows = JUDGEMENT, folder.metrics()
    if not task.split.anomalous.any():
        judgement = dataclasses.replace(judgement, measures=None)
    return pictures.draw(task, method, state, scores, judgement, groups, rows)


def test_a_method_without_views_gets_the_pictures_of_its_scores(task, tmp_path):
    assert list(drawn(task, method(), tmp_path)) == ALWAYS
    assert not (tmp_path / "eval").exists()


class Drawn(NamedTuple):
    figures: dict[str, bytes]
    given: dict[str, tuple]  # Name of a plot -> its arguments.
    folder: RunFolder


@pytest.fixture(scope="module")
def everything(task, tmp_path_factory):
    """All pictures, drawn once for all tests."""
    folder, given = RunFolder(tmp_path_factory.mktemp("run")), {}
    folder.write("metrics.jsonl", '{"step": 1, "epoch": 1, "seconds": 1, "loss": 2}\n')

    def recorded(name, plot):
        def call(*arguments):
            given[name] = arguments
            return plot(*arguments)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("latents", "measures", "distances", "manifold", "nearest"):
            plot = recorded(name, getattr(pictures.plots, name))
            patch.setattr(pictures.plots, name, plot)
        figures = drawn(task, EVERYTHING, folder.path)
    return Drawn(figures, given, folder)


def test_every_view_is_drawn(everything):
    more = ["split", "manifold", "latents", "measures", "distances", "training_curves"]
    assert list(everything.figures) == [*ALWAYS[:3], "nearest", *ALWAYS[3:], *more]
    assert all(png.startswith(b"\x89PNG") for png in everything.figures.values())


def test_latents_and_measures_are_of_the_same_images(task, everything):
    given = everything.given
    (spaces, anomalous), (measures, same) = given["latents"], given["measures"]
    assert (list(spaces), list(measures)) == (["z", "again"], ["rows", "brightness"])
    np.testing.assert_array_equal(anomalous, same)
    assert anomalous.sum() == 10
    np.testing.assert_allclose(spaces["again"], 2 * spaces["z"], rtol=1e-6)
    apart = np.abs(spaces["z"][:, None] - row_means(task)).max(axis=2)
    found = apart.argmin(axis=1)
    assert apart.min(axis=1).max() < 1e-6
    np.testing.assert_array_equal(found >= 50, anomalous)
    np.testing.assert_array_equal(measures["rows"], spaces["z"])


def test_the_nearest_are_training_images_by_their_numbers(task, everything):
    *_, normals = everything.given["nearest"]
    expected = task.dataset.images[[6, 2, 0]]  # Every second image trains.
    np.testing.assert_array_equal(normals(np.array([3, 1, 0])), expected)


def test_the_manifold_is_of_training_images_where_none_is_held_out(everything):
    latents, _ = everything.given["manifold"]
    assert len(latents) == 20


def test_pairs_are_of_the_kinds_that_they_are_said_to_be(task, everything):
    rows = row_means(task)
    normals, anomalies, groups = everything.given["distances"]
    assert list(groups) == ["typical", "atypical"]
    between = lambda i, j: np.abs(rows[i] - rows[j]).mean() / 2
    possible = lambda some, others: [between(i, j) for i in some for j in others]
    kinds = [
        (normals, range(40, 50), range(40, 50)),
        (anomalies, range(40, 50), range(50, 60)),
        (groups["typical"], range(0, 30, 2), range(0, 30, 2)),
        (groups["atypical"], range(30, 40, 2), range(30, 40, 2)),
    ]
    for values, some, others in kinds:
        apart = np.abs(values[:, None] - np.array(possible(some, others))).min(axis=1)
        assert apart.max() < 1e-6
        assert values.min() > 0  # No image is paired with itself.


def test_the_division_of_the_training_images_is_saved(everything):
    path = everything.folder.path / "eval" / "split.csv"
    lines = path.read_text().splitlines()
    assert lines[0] == "index,group,grade"
    assert lines[1] == "0,typical,1.0"
    assert lines[-1] == "38,atypical,0.0"  # Counted in the pooled parts.
    assert len(lines) == 1 + 20


def test_good_pictures_alone_need_no_anomalies(task, tmp_path):
    split = task.split._replace(anomalous=np.zeros(20, bool))
    found = list(drawn(task._replace(split=split), EVERYTHING, tmp_path))
    assert found == ["score_histogram", "examples", "nearest", "split"]


def test_latents_of_one_dimension_are_not_drawn(task, tmp_path):
    one = lambda state, x: embed(state, x)[:, :1]
    views = Views(decode=lambda state, z, shape: jnp.zeros((len(z), *shape)))
    assert list(drawn(task, method(embed=one, views=views), tmp_path)) == ALWAYS
