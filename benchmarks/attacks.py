"""Images attacked a second: foolbox on PyTorch against ocjax, on one classifier.

    python benchmarks/attacks.py

Both attack the same images with the same weights and parameters. foolbox gets a model
in channels-last form whose weights ask for no gradient, and all cores.
"""

import functools
import warnings

import foolbox
import interleave
import jax
import numpy as np
import torch
import torch_ganomaly
from absl import app, flags
from torch.nn import functional

from ocjax import attacks
from ocjax.attacks import classifier

ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each candidate.")
SECONDS = flags.DEFINE_float("seconds", 2.0, "Least length of a turn.")
IMAGES = flags.DEFINE_integer("images", 64, "Attacked together.")
STEPS = flags.DEFINE_integer("steps", 200, "Of the Boundary Attack.")
NAME = flags.DEFINE_string("name", "attacks", "Of the file with the result.")
CLASSES = 43


class Peer(torch.nn.Module):
    """`Classifier` in PyTorch."""

    def __init__(self, params):
        super().__init__()
        number = lambda x: torch.tensor(np.asarray(x))
        self.convolutions, self.dense = [], []
        for i, side in enumerate((5, 3, 3)):
            kernel = np.asarray(params[f"Conv_{i}"]["kernel"])
            kernel = kernel.reshape(len(kernel), side, side, -1).transpose(0, 3, 1, 2)
            weight = number(kernel).contiguous(memory_format=torch.channels_last)
            self.convolutions.append((weight, number(params[f"Conv_{i}"]["bias"])))
        for i in range(2):
            layer = params[f"Dense_{i}"]
            self.dense.append((number(layer["kernel"]).T, number(layer["bias"])))

    def forward(self, x):
        """Maps `[B, C, H, W]` to logits."""
        mean = x.mean((1, 2, 3), keepdim=True)
        deviation = x.std((1, 2, 3), keepdim=True, correction=0)
        x = (x - mean) / (deviation + 0.02)
        for weight, bias in self.convolutions:
            x = functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
            x = functional.max_pool2d(functional.relu(x), 2)
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = functional.relu(functional.linear(x, *self.dense[0]))
        return functional.linear(x, *self.dense[1])


def main(_):
    """Measures, prints and writes the result."""
    warnings.filterwarnings("ignore")
    torch_ganomaly.prepare(cuda=False, tf32=False, threads=interleave.cores())
    network, count = classifier.Classifier(CLASSES), IMAGES.value
    images = jax.random.uniform(jax.random.key(0), (count, 32, 32, 3))
    params = network.init(jax.random.key(1), images[:1])["params"]
    logits = functools.partial(classifier.logits, network, params)
    labels = logits(images).argmax(-1)
    peer = Peer(params).eval()
    theirs = torch.tensor(np.asarray(images)).permute(0, 3, 1, 2)
    theirs = theirs.contiguous(memory_format=torch.channels_last)
    found = peer(theirs).numpy()
    np.testing.assert_allclose(found, logits(images), atol=1e-4)  # One classifier.
    model = foolbox.PyTorchModel(peer, bounds=(0, 1), device="cpu")
    targets = torch.tensor(np.asarray(labels)).long()
    epsilon = 8 / 255

    def ours(attack):
        return lambda: len(jax.block_until_ready(attack(logits, images, labels)).l2)

    def foolboxs(attack, epsilon=None):
        return lambda: len(attack(model, theirs, targets, epsilons=epsilon)[1])

    peers = foolbox.attacks
    key = lambda: jax.random.key(0)
    pairs = {
        "FGSM": (
            foolboxs(peers.LinfFastGradientAttack(), epsilon),
            ours(functools.partial(attacks.fgsm, epsilon=epsilon)),
        ),
        "BIM": (
            foolboxs(peers.LinfBasicIterativeAttack(), epsilon),
            ours(functools.partial(attacks.bim, epsilon=epsilon)),
        ),
        "DeepFool": (foolboxs(peers.L2DeepFoolAttack()), ours(attacks.deepfool)),
        f"Boundary, {STEPS.value} steps": (
            foolboxs(peers.BoundaryAttack(steps=STEPS.value)),
            ours(lambda *args: attacks.boundary(*args, key(), steps=STEPS.value)),
        ),
    }
    tables, rates = {}, {}
    for name, (baseline, own) in pairs.items():
        found = interleave.interleaved(
            {"foolbox": baseline, "ocjax": own},
            rounds=ROUNDS.value,
            seconds=SECONDS.value,
        )
        tables[name] = interleave.compare(found, baselines=("foolbox",))
        rates[name] = found
    interleave.write(
        NAME.value,
        "Attacks",
        tables,
        rates=rates,
        settings={
            "rounds": ROUNDS.value,
            "seconds": SECONDS.value,
            "images": count,
            "foolbox": foolbox.__version__,
        },
    )


if __name__ == "__main__":
    app.run(main)
