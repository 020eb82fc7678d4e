"""Report of a run: a single HTML file that can be sent to a colleague."""

import base64
from collections.abc import Mapping
from typing import Any

from ocjax._nested import flat
from ocjax.data import fitting
from ocjax.evaluation import plots
from ocjax.runs import known
from ocjax.runs.folder import RunFolder
from ocjax.runs.summary import Summary

# Captions of a run's pictures by name, in the order of the page.
CAPTIONS = {
    "score_histogram": "Scores of the test images, each class as shares of itself. "
    "The outermost bins also count the 0.1 % beyond them.",
    "roc": "Anomalies found against false alarms, over all thresholds. The grey "
    "line is chance.",
    "examples": "The test images with the highest scores, those nearest to the "
    "threshold, and those with the lowest, framed in orange where they are anomalies "
    "and in blue where they are normal; below them where the score comes from, "
    "brighter for more, on one scale for all.",
    "nearest": "The test images with the highest scores, below each its part that is "
    "farthest from all normal ones, then the parts of normal training images that are "
    "nearest to it. Where these look like it, the detector does not see what is wrong, "
    "or nothing is; where they do not, nothing like it was trained on.",
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

# `fit` of a run -> what it did to pictures that are not square.
FITTED = {
    fitting.PAD: "Pictures keep their aspect: around those that are not square lies "
    "the mean of their border, which counts as normal where pixels are counted.",
    fitting.CUT: "Pictures keep their aspect: of those that are not square only the "
    "square in the middle was seen, and what lies beside it is not judged.",
}


def write(folder: RunFolder, summary: Summary, figures: Mapping[str, bytes]) -> None:
    """Writes `report.html` of a summary and its pictures.

    Args:
      folder: folder of the run.
      summary: result of the run.
      figures: PNG files by the names of `CAPTIONS`; others are left out.

    Raises:
      InputError: `run.json` or `env.json` is damaged.
    """
    config, environment = map(folder.read_object, (known.FILE, "env.json"))
    folder.write("report.html", page(summary, config, environment, figures))


def page(
    summary: Summary,
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    figures: Mapping[str, bytes],
) -> str:
    """A self-contained HTML page: no script, and nothing fetched.

    Args:
      summary: result of the run; leaks and warnings are shown first.
      config: configuration of the run; nested mappings become dotted names.
      environment: versions, commit, devices; nested likewise.
      figures: PNG files by name, as for `write`.
    """
    import jinja2

    template = jinja2.Environment(
        loader=jinja2.PackageLoader("ocjax.runs"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("report.html")
    pictures = {
        name: _picture(figures[name], caption)
        for name, caption in CAPTIONS.items()
        if name in figures
    }
    curves = pictures.pop("training_curves", None)
    return template.render(
        summary=summary,
        identity=summary.identity,
        fitted=FITTED.get(config.get("config", {}).get("fit"), ""),
        judgement=summary.judgement,
        measures=summary.judgement.measures,
        decisions=summary.judgement.decisions,
        training=summary.training,
        pictures=list(pictures.values()),
        curves=curves,
        config=_shown(config),
        environment=_shown(environment),
        alarms=[*(f"Not honest: {leak}" for leak in summary.leaks), *summary.warnings],
    )


def _picture(png: bytes, caption: str) -> dict[str, Any]:
    """A PNG file as a data URI, with its width in CSS pixels and a caption."""
    pixels = int.from_bytes(png[16:20])  # PNG keeps its width there.
    return {
        "source": "data:image/png;base64," + base64.b64encode(png).decode(),
        "width": round(pixels * 96 / plots.DOTS_PER_INCH),
        "caption": caption,
    }


def _shown(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a tree by dotted name, lists as texts."""
    lists = list | tuple
    join = lambda value: ", ".join(map(str, value))
    return {
        name: join(value) if isinstance(value, lists) else value
        for name, value in flat(tree)
    }
