"""Networks and losses against PyTorch's numbers, which `torch_numbers.py` wrote."""

import functools
import pathlib
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.losses import adversarial, latent, mutual_information, reconstruction
from ocjax.modules import apply, attention, conv, dcgan, unet
from ocjax.modules.mutual_information import GlobalEstimator, LocalEstimator

MODES = {"eval": apply.infer, "train": apply.batchwise}


class Numbers:
    """One file of numbers: weights in our layout, inputs and results."""

    def __init__(self, name):
        with np.load(pathlib.Path(__file__).parent / f"{name}.npz") as file:
            self._arrays = {key: jnp.float32(value) for key, value in file.items()}

    def input(self, name):
        return _channels_last(self._arrays[f"in.{name}"])

    def results(self, mode):
        start = f"out.{mode}."
        return {
            key.removeprefix(start): _channels_last(value)
            for key, value in self._arrays.items()
            if key.startswith(start)
        }

    def dense(self, prefix):
        """A linear layer, or a convolution of 1x1, as a dense layer."""
        weight = self._arrays[f"{prefix}.weight"]
        kernel = weight.reshape(weight.shape[:2]).T
        return {"kernel": kernel, "bias": self._arrays[f"{prefix}.bias"]}

    def conv(self, prefix):
        weight = self._arrays[f"{prefix}.weight"]
        kernel = {"kernel": conv.from_hwio(weight.transpose(2, 3, 1, 0))}
        bias = self._arrays.get(f"{prefix}.bias")
        return kernel if bias is None else {**kernel, "bias": bias}

    def centre(self, prefix):
        """What a padded 3x3 convolution does to a 1x1 map, as a dense layer."""
        return {"kernel": self._arrays[f"{prefix}.weight"][:, :, 1, 1].T}

    def network(self, prefix, transposed=False):
        """Parameters and statistics of a network of convolutions and norms.

        The layers of each kind are numbered in their order.
        """
        params, stats, weights = {}, {}, {}
        for key, value in self._arrays.items():
            if match := re.fullmatch(rf"({prefix}[.\w]*)\.weight", key):
                weights[match[1]] = value
        norms = [layer for layer, value in weights.items() if value.ndim == 1]
        for i, layer in enumerate(layer for layer in weights if layer not in norms):
            kind = "ConvTranspose" if transposed else "Conv"
            params[f"{kind}_{i}"] = self.conv(layer)
        for i, layer in enumerate(norms):
            scale, bias = (self._arrays[f"{layer}.{n}"] for n in ("weight", "bias"))
            params[f"BatchNorm_{i}"] = {"scale": scale, "bias": bias}
            mean, var = (self._arrays[f"{layer}.running_{n}"] for n in ("mean", "var"))
            stats[f"BatchNorm_{i}"] = {"mean": mean, "var": var}
        return params, stats


def _channels_last(x):
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def _assert_close(actual, expected):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        np.testing.assert_allclose(
            actual[name], value, rtol=1e-5, atol=1e-5, err_msg=name
        )


def _split(pairs):
    params = {name: pair[0] for name, pair in pairs.items()}
    return params, {name: pair[1] for name, pair in pairs.items()}


def _ganomaly():
    numbers = Numbers("ganomaly")
    names = ("encoder", "reencoder", "discriminator")
    networks = {name: numbers.network(name) for name in names}
    networks["decoder"] = numbers.network("decoder", transposed=True)
    return numbers, *_split(networks)


@pytest.mark.parametrize("mode", MODES)
def test_ganomaly(mode):
    numbers, params, stats = _ganomaly()
    encoder, decoder = dcgan.Encoder(3, 2), dcgan.Decoder(32, 1, 2)
    discriminator = dcgan.Encoder(1, 2)

    @jax.jit
    def run(params, x):
        use = lambda module, name, x: MODES[mode](module, name, params, stats, x)
        z, _ = use(encoder, "encoder", x)
        x_hat = use(decoder, "decoder", z)
        z_hat, _ = use(encoder, "reencoder", x_hat)
        real, f = use(discriminator, "discriminator", x)
        fake, f_hat = use(discriminator, "discriminator", x_hat)
        return {
            "z": z,
            "x_hat": x_hat,
            "z_hat": z_hat,
            "real": real[:, 0],
            "fake": fake[:, 0],
            "adv": adversarial.feature_matching(f, f_hat).mean(),
            "con": reconstruction.l1(x, x_hat).mean(),
            "enc": latent.squared_error(z, z_hat).mean(),
            "bce": adversarial.discriminator(real, fake).mean(),
        }

    _assert_close(run(params, numbers.input("x")), numbers.results(mode))


def test_stored_statistics_follow_the_batches_as_in_torch():
    numbers, params, stats = _ganomaly()
    encoder, decoder = dcgan.Encoder(3, 2), dcgan.Decoder(32, 1, 2)

    @jax.jit
    def run(params, x):
        (z, _), encoded = apply.train(encoder, "encoder", params, stats, x)
        x_hat, decoded = apply.train(decoder, "decoder", params, stats, z)
        _, again = apply.train(encoder, "reencoder", params, stats, x_hat)
        return {**encoded, **decoded, **again}

    actual = {}
    for network, new in run(params, numbers.input("x")).items():
        first, distance = (1, 3) if network == "decoder" else (3, 3)
        for i, name in enumerate(sorted(new)):
            actual[f"{network}.{first + distance * i}.running_mean"] = new[name]["mean"]
    _assert_close(actual, numbers.results("stats"))


@pytest.mark.parametrize("mode", MODES)
def test_skip_ganomaly(mode):
    numbers = Numbers("skip_ganomaly")
    down, down_stats = numbers.network("generator.down")
    up, up_stats = numbers.network("generator.up", transposed=True)
    # Norms on the way down are numbered before those on the way up.
    count = len(down_stats)
    later = lambda tree: {
        re.sub(r"Norm_(\d)", lambda m: f"Norm_{int(m[1]) + count}", name): leaf
        for name, leaf in tree.items()
    }
    body, body_stats = numbers.network("body")
    params = {
        "generator": down | later(up),
        "discriminator": body | {"Dense_0": numbers.centre("head")},
    }
    stats = {
        "generator": down_stats | later(up_stats),
        "discriminator": body_stats,
    }

    @jax.jit
    def run(params, x):
        use = lambda module, name, x: MODES[mode](module, name, params, stats, x)
        x_hat, z = use(unet.UNet(2), "generator", x)
        discriminator = dcgan.Discriminator(5, 2)
        real, f = use(discriminator, "discriminator", x)
        fake, f_hat = use(discriminator, "discriminator", x_hat)
        errors = reconstruction.squared_error(x, x_hat)
        differences = latent.squared_error(f, f_hat)
        return {
            "x_hat": x_hat,
            "latent": z,
            "features": f,
            "real": real,
            "fake": fake,
            "adv": adversarial.non_saturating(fake).mean(),
            "con": reconstruction.l1(x, x_hat).mean(),
            "lat": differences.mean(),
            "bce": adversarial.discriminator(real, fake).mean(),
            "score": 0.9 * errors + 0.1 * differences,
        }

    _assert_close(run(params, numbers.input("x")), numbers.results(mode))


def test_channel_attention():
    numbers = Numbers("attention")
    params = {name: numbers.dense(name) for name in ("hidden", "output")}
    module = attention.ChannelAttention(reduction=4)

    @jax.jit
    def run(x):
        y, sown = module.apply({"params": params}, x, mutable=["intermediates"])
        return {"y": y, "weights": sown["intermediates"]["attention"][0]}

    _assert_close(run(numbers.input("x")), numbers.results("eval"))


def test_estimators_of_mutual_information():
    numbers = Numbers("estimators")
    layers = ("both", "Dense_0", "Dense_1")
    of_all = {name: numbers.dense(f"global_dense.{i}") for i, name in enumerate(layers)}
    of_all |= {f"Conv_{i}": numbers.conv(f"global_conv.{i}") for i in range(2)}
    of_place = {name: numbers.dense(f"local.{i}") for i, name in enumerate(layers)}

    @jax.jit
    def run(x, z):
        results = {}
        for kind, module, params in (
            ("global", GlobalEstimator(6, 7), of_all),
            ("local", LocalEstimator(7), of_place),
        ):
            score: Any = functools.partial(module.apply, {"params": params}, x)
            positive, negative = score(z), score(jnp.roll(z, 1, axis=0))
            loss = mutual_information.jensen_shannon(positive, negative)
            results[f"{kind}.positive"] = positive
            results[f"{kind}.negative"] = negative
            results[f"{kind}.loss"] = loss.mean()
        return results

    _assert_close(run(*map(numbers.input, ("map", "z"))), numbers.results("eval"))
