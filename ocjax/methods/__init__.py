"""Methods by name; each is one file with a `Config` and a builder."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
