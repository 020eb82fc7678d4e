"""One-class image anomaly detection in JAX.

Train on normal images only, score anything, know when to trust the score.
"""

import lazy_loader

__version__ = "0.1.0"

# JAX and scikit-learn take seconds to import: a name is imported when it is used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
