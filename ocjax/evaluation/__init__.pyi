from . import metrics as metrics
from . import plots as plots
from . import synthetic as synthetic
from . import thresholds as thresholds
from .report import CAPTIONS as CAPTIONS
from .report import write_report as write_report
from .scoring import score as score
