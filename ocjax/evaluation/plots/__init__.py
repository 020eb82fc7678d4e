"""Pictures of a run as matplotlib figures; the caller saves them.

Blue is normal and orange anomalous in all of them, two colours that colour-blind
readers tell apart. Figures are made without pyplot, so nothing global changes.
"""

from ocjax.evaluation.plots.charts import comparison as comparison
from ocjax.evaluation.plots.charts import distances as distances
from ocjax.evaluation.plots.charts import latents as latents
from ocjax.evaluation.plots.charts import measures as measures
from ocjax.evaluation.plots.charts import robustness as robustness
from ocjax.evaluation.plots.charts import roc as roc
from ocjax.evaluation.plots.charts import score_histogram as score_histogram
from ocjax.evaluation.plots.charts import table as table
from ocjax.evaluation.plots.charts import training_curves as training_curves
from ocjax.evaluation.plots.images import examples as examples
from ocjax.evaluation.plots.images import image_grid as image_grid
from ocjax.evaluation.plots.images import manifold as manifold
from ocjax.evaluation.plots.images import most_anomalous as most_anomalous
from ocjax.evaluation.plots.images import nearest as nearest
from ocjax.evaluation.plots.images import split as split
from ocjax.evaluation.plots.style import ANOMALOUS as ANOMALOUS
from ocjax.evaluation.plots.style import DOTS_PER_INCH as DOTS_PER_INCH
from ocjax.evaluation.plots.style import GROUPS as GROUPS
from ocjax.evaluation.plots.style import NORMAL as NORMAL
from ocjax.evaluation.plots.style import png as png
