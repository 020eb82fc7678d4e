"""Images of data sets and folders, one-class splits of them, and their batches."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
