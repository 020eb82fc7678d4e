from .opening import open as open
from .scorer import Card as Card
from .scorer import Scorer as Scorer
from .scorer import Verdict as Verdict
from .scorer import Verdicts as Verdicts
