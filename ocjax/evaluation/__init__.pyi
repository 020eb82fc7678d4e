from . import judgement as judgement
from . import metrics as metrics
from . import plots as plots
from . import synthetic as synthetic
from . import thresholds as thresholds
from . import yardsticks as yardsticks
from .judgement import Judgement as Judgement
from .scoring import score as score
