r"""AUROC of each measure of a trained method by itself.

    python experiments/measures.py --run=RUN --data_dir=DIR

Measures are the score, the squared error where the method reconstructs, and every
measure of an image that the method names, such as the similarity that data splitting
divides by. Larger is taken for more anomalous, so near 0 the smaller values are the
anomalies'. All test images are judged; the JSON is printed.
"""

import json

from absl import flags

from ocjax import data
from ocjax.cli import exits
from ocjax.evaluation import metrics
from ocjax.inference.run_folder import Trained, task_of, trained
from ocjax.losses import reconstruction

RUN = flags.DEFINE_string("run", None, "Run folder of the detector.", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of its data set.")


def aurocs(
    detector: Trained, data_dir: str | None, score: float | None = None
) -> dict[str, float]:
    """AUROCs by name of the measure.

    Args:
      detector: trained detector.
      data_dir: folder of its data set.
      score: AUROC of the score, where it is known, to compute the others alone.

    Returns:
      Those of all measures; none where the score is known and the only one.
    """
    method = detector.method
    reconstruct = method.reconstruct or method.views.images.get("reconstruction")
    measures = dict(method.views.measures)
    if score is None:
        measures = {"score": method.score, **measures}
    if reconstruct is not None:
        measures["squared error"] = lambda state, x: reconstruction.squared_error(
            x, reconstruct(state, x)
        )
    if not measures:
        return {}
    by_measure = {} if score is None else {"score": score}
    task = task_of(detector, data_dir)
    images = task.dataset.images[task.split.test]
    for name, measure in measures.items():
        values = data.map_images(measure, images, arguments=(detector.state,))
        if values.ndim == 1:  # Others have a value for each channel.
            by_measure[name] = metrics.auroc(task.split.anomalous, values)
    return by_measure


def main(_) -> None:
    """Prints the AUROCs."""
    print(json.dumps(aurocs(trained(RUN.value), DATA_DIR.value)))


if __name__ == "__main__":
    exits.start(exits.guarded(main), exits.parse_flags)
