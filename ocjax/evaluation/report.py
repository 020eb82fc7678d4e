"""One run as one page: a single HTML file that can be sent to a colleague."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ocjax import _files
from ocjax._nested import flat
from ocjax.evaluation import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of the pictures of a run, in the order to show them.
CAPTIONS = {
    "score_histogram": "Scores of the test images, each class as shares of itself. "
    "The outermost bins also count the 0.1 % beyond them.",
    "roc": "Anomalies found against false alarms, over all thresholds. The grey "
    "line is chance.",
    "examples": "The test images with the highest scores, those nearest to the "
    "threshold, and those with the lowest, framed in orange where they are anomalies "
    "and in blue where they are normal; below them where the score comes from, "
    "brighter for more, on one scale for all.",
    "image_grid": "Where it is surest and where it errs: the test images of either "
    "class with the lowest and the highest scores. Where there are reconstructions, "
    "normal images should come back unchanged and anomalies should not.",
    "most_anomalous": "The test images with the highest scores, highest first: orange "
    "frames are anomalies, blue ones false alarms.",
    "split": "How the training images, all of them normal, were divided: the most "
    "extreme of each group, with the value that decided. Images at the two ends should "
    "look ordinary and odd.",
    "manifold": "Images decoded from a plane of the latent space: the two first "
    "principal components of normal images, with their shares of the variance, or z1 "
    "and z2 where there are no others; from the 2nd to the 98th percentile of each. "
    "All of it should look normal, and change smoothly.",
    "latents": "Latents of test images on the two first principal components of the "
    "normal ones, or as they are where there are but z1 and z2. Distances are those of "
    "the latents as far as the plane holds them. Panels share the plane: what differs "
    "between them is how the points moved.",
    "measures": "What else is measured of test images, by class. Curves are means over "
    "the class, a channel a point. Look for where the classes part. Near 0, the AUROC "
    "says that anomalies have the smaller values.",
    "distances": "Learned distances between random pairs of images. Pairs of normal "
    "images should be closer than those of a normal and an anomalous one; all at 1/2 "
    "means that nothing was learned.",
    "robustness": "AUROC within balls of growing radius in which the detector is "
    "attacked: scores of normal images are raised and those of anomalies lowered.",
    "training_curves": "Each term of the losses: thin as logged, thick its running "
    "mean over a twentieth of the run.",
}


def write_report(
    path: str | os.PathLike,
    *,
    summary: Mapping[str, Any],
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    figures: Mapping[str, Figure | bytes],
    warnings: Sequence[str] = (),
) -> None:
    """Writes a self-contained HTML report: no script, and nothing fetched.

    The file appears whole or not at all.

    Args:
      path: of the file to write.
      summary: the result. The keys of `metrics.summary`, and: method, dataset,
        protocol, target ("normal class 8"), seed, epochs, images_per_second,
        compile_seconds, train_seconds, score_seconds, draw_seconds, threshold,
        promised_false_positive_rate, reached_false_positive_rate, reached_low,
        reached_high, held_out_normals, threshold_note, note (on the data, or ""), kinds
        (as `metrics.by_kind` gives them), baselines (name -> auroc and kinds) and
        command; pixel_auroc and per_region_overlap may be there. Speed and seconds may
        be None; so may the threshold and its rates, and then its note says why; and all
        measures where no test image is anomalous.
      config: what the run was told; nested mappings become dotted names.
      environment: versions, commit, devices; nested likewise.
      figures: pictures in the order to show them, as figures or PNG bytes. The names
        of the functions of `plots` have captions, other names are their own;
        "training_curves" comes after the others.
      warnings: reasons not to trust the result, shown first.

    Raises:
      jinja2.UndefinedError: if `summary` lacks a key.
    """
    import jinja2

    template = jinja2.Environment(
        loader=jinja2.PackageLoader("ocjax.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("report.html")
    pictures = {name: _picture(name, figure) for name, figure in figures.items()}
    curves = pictures.pop("training_curves", None)
    page = template.render(
        summary,
        pictures=list(pictures.values()),
        curves=curves,
        config=_shown(config),
        environment=_shown(environment),
        warnings=warnings,
    )
    with _files.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _picture(name: str, figure: Figure | bytes) -> dict[str, Any]:
    """A figure as a data URI, with its width in CSS pixels and a caption."""
    if not isinstance(figure, bytes):
        figure = plots.png(figure)
    pixels = int.from_bytes(figure[16:20])  # PNG keeps its width there.
    return {
        "source": "data:image/png;base64," + base64.b64encode(figure).decode(),
        "width": round(pixels * 96 / plots.DOTS_PER_INCH),
        "caption": CAPTIONS.get(name, name),
    }


def _shown(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Everything in a tree by its name, lists as texts."""
    lists = list | tuple
    join = lambda value: ", ".join(map(str, value))
    return {n: join(v) if isinstance(v, lists) else v for n, v in flat(tree)}
