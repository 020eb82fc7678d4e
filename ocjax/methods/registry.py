"""Methods by name, each imported when it is asked for."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

# Names of methods: each names a file, and the builder in it.
NAMES = (
    "lrgdan", "caent", "ics", "ganomaly", "skip_ganomaly", "autoencoder", "pca",
    "padim", "patchcore", "knn_features", "mahalanobis_features",
    "knn", "lof", "mahalanobis", "ocsvm", "kde", "iforest",
)  # fmt: skip


class Registry(Mapping[str, tuple[Any, Any]]):
    """Mapping of names to (`Config`, builder).

    Names alone cost no import of JAX, so that help comes at once.
    """

    def __getitem__(self, name: str) -> tuple[Any, Any]:
        """Configuration and builder of one method."""
        if name not in NAMES:
            raise KeyError(name)
        module = importlib.import_module(f"ocjax.methods.{name}")
        return module.Config, getattr(module, name)

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of lists."""
        return iter(NAMES)

    def __len__(self) -> int:
        """Number of methods."""
        return len(NAMES)


METHODS = Registry()
