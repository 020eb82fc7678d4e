"""Writes what plain PyTorch computes, for `test_torch.py` to compare with.

    python tests/peers/torch_numbers.py

Needs PyTorch (2.13 wrote the files beside this one), which the tests do not. Networks
are written from the papers and the authors' descriptions, of few channels; weights are
random numbers that float16 holds exactly, arithmetic is float64. A file has weights
under the names of `state_dict`, inputs under "in." and results under "out.".
"""

import pathlib

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional as F  # pyright: ignore[reportMissingImports]

FOLDER = pathlib.Path(__file__).parent
FEATURES = 2


def encoder(channels, outputs):
    f = FEATURES
    return nn.Sequential(
        nn.Conv2d(channels, f, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(f, 2 * f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * f),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * f, 4 * f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * f),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * f, outputs, 4, bias=False),
    )


def decoder(latent, channels):
    f = FEATURES
    return nn.Sequential(
        nn.ConvTranspose2d(latent, 4 * f, 4, bias=False),
        nn.BatchNorm2d(4 * f),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * f, 2 * f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * f),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * f, f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(f),
        nn.ReLU(),
        nn.ConvTranspose2d(f, channels, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


class Ganomaly(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = encoder(1, 3)
        self.decoder = decoder(3, 1)
        self.reencoder = encoder(1, 3)
        self.discriminator = encoder(1, 1)

    def forward(self, x):
        z = self.encoder(x)
        x_hat = self.decoder(z)
        z_hat = self.reencoder(x_hat)
        f, f_hat = (self.discriminator[:-1](images) for images in (x, x_hat))
        real, fake = (self.discriminator[-1](features) for features in (f, f_hat))
        return {
            "z": z.flatten(1),
            "x_hat": x_hat,
            "z_hat": z_hat.flatten(1),
            "real": real.flatten(),
            "fake": fake.flatten(),
            "adv": F.mse_loss(f_hat, f),
            "con": F.l1_loss(x_hat, x),
            "enc": F.mse_loss(z_hat, z),
            "bce": discriminator_loss(real, fake),
        }


def discriminator_loss(real, fake):
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    real = F.binary_cross_entropy(torch.sigmoid(real), ones)
    return (real + F.binary_cross_entropy(torch.sigmoid(fake), zeros)) / 2


class UNet(nn.Module):
    def __init__(self, channels):
        super().__init__()
        widths = [FEATURES * m for m in (1, 2, 4, 8, 8)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.down_norm, self.up_norm = nn.ModuleList(), nn.ModuleList()
        for before, after in zip([channels, *widths], widths, strict=False):
            self.down.append(nn.Conv2d(before, after, 4, 2, 1, bias=False))
        for width in widths[1:4]:
            self.down_norm.append(nn.BatchNorm2d(width))
        for level in (3, 2, 1, 0):
            below = widths[level + 1] * (1 if level == 3 else 2)
            up = nn.ConvTranspose2d(below, widths[level], 4, 2, 1, bias=False)
            self.up.append(up)
            self.up_norm.append(nn.BatchNorm2d(widths[level]))
        self.up.append(nn.ConvTranspose2d(2 * widths[0], channels, 4, 2, 1))

    def forward(self, x):
        e0 = self.down[0](x)
        e1 = self.down_norm[0](self.down[1](F.leaky_relu(e0, 0.2)))
        e2 = self.down_norm[1](self.down[2](F.leaky_relu(e1, 0.2)))
        e3 = self.down_norm[2](self.down[3](F.leaky_relu(e2, 0.2)))
        latent = self.down[4](F.leaky_relu(e3, 0.2))
        x = latent
        for up, norm, skip in zip(
            self.up, self.up_norm, (e3, e2, e1, e0), strict=False
        ):
            x = torch.cat([skip, norm(up(F.relu(x)))], 1)
        return torch.tanh(self.up[4](F.relu(x))), latent


class SkipGanomaly(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = UNet(1)
        self.body = encoder(1, 5)
        self.head = nn.Conv2d(5, 1, 3, 1, 1, bias=False)

    def forward(self, x):
        x_hat, latent = self.generator(x)
        f, f_hat = self.body(x), self.body(x_hat)
        real, fake = self.head(f), self.head(f_hat)
        con, lat = (x - x_hat).square(), (f - f_hat).square()
        return {
            "x_hat": x_hat,
            "latent": latent.flatten(1),
            "features": f.flatten(1),
            "real": real.flatten(),
            "fake": fake.flatten(),
            "adv": F.binary_cross_entropy(torch.sigmoid(fake), torch.ones_like(fake)),
            "con": F.l1_loss(x_hat, x),
            "lat": F.mse_loss(f_hat, f),
            "bce": discriminator_loss(real, fake),
            "score": 0.9 * con.mean((1, 2, 3)) + 0.1 * lat.mean((1, 2, 3)),
        }


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.output = nn.Linear(8, 2), nn.Linear(2, 8)

    def forward(self, x):
        pooled = F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)
        logits = [self.output(F.relu(self.hidden(p.flatten(1)))) for p in pooled]
        weights = torch.sigmoid(logits[0] + logits[1])
        return {"weights": weights, "y": x * weights[:, :, None, None]}


class Estimators(nn.Module):
    """Both estimators; negatives are each image's map with its predecessor's z."""

    def __init__(self):
        super().__init__()
        self.global_conv = nn.ModuleList([nn.Conv2d(4, 6, 3), nn.Conv2d(6, 3, 3)])
        sizes = [3 * 4 * 4 + 5, 7, 7, 1]
        pairs = list(zip(sizes, sizes[1:], strict=False))
        self.global_dense = nn.ModuleList([nn.Linear(*pair) for pair in pairs])
        sizes = [4 + 5, 7, 7, 1]
        pairs = list(zip(sizes, sizes[1:], strict=False))
        self.local = nn.ModuleList([nn.Conv2d(*pair, 1) for pair in pairs])

    def score(self, m, z):
        h = self.global_conv[1](F.relu(self.global_conv[0](m)))
        h = h.permute(0, 2, 3, 1).flatten(1)  # Places first, as in our layout.
        of_all = torch.cat([h, z], 1)
        of_place = torch.cat([m, z[:, :, None, None].expand(-1, -1, 8, 8)], 1)
        for i in range(3):
            rectify = F.relu if i < 2 else nn.Identity()
            of_all = rectify(self.global_dense[i](of_all))
            of_place = rectify(self.local[i](of_place))
        return of_all[:, 0], of_place[:, 0]

    def forward(self, m, z):
        positive, negative = self.score(m, z), self.score(m, z.roll(1, 0))
        results = {}
        for i, kind in enumerate(("global", "local")):
            t, t_shifted = positive[i], negative[i]
            results[f"{kind}.positive"] = t
            results[f"{kind}.negative"] = t_shifted
            # -log sigmoid(T+) - log(1 - sigmoid(T-))
            loss = -F.logsigmoid(t) - F.logsigmoid(-t_shifted)
            results[f"{kind}.loss"] = loss.mean()
        return results


def randomize(module, generator):
    """Weights of unit gain, statistics and scales unlike the fresh ones."""
    for name, value in module.state_dict().items():
        draw = torch.randn(value.shape, generator=generator, dtype=torch.float32)
        if value.ndim > 1:
            draw = draw * (2 / value[0].numel()) ** 0.5
        elif name.endswith("running_var"):
            draw = 0.5 + draw.abs()
        elif name.endswith("weight"):
            draw = 1 + draw / 5
        elif name.endswith("num_batches_tracked"):
            continue
        else:
            draw = draw / 5
        value.copy_(draw.half())


def write(name, module, inputs, modes=("eval",)):
    """Runs `module` on `inputs` in each mode, and writes `{name}.npz`."""
    module.double()
    randomize(module, torch.Generator().manual_seed(0))
    state = {k: v for k, v in module.state_dict().items() if v.ndim}
    state |= {f"in.{key}": value for key, value in inputs.items()}
    arrays: dict = {key: np.asarray(value, np.float16) for key, value in state.items()}
    for mode in modes:
        module.train(mode == "train")
        for key, value in module(*[x.double() for x in inputs.values()]).items():
            arrays[f"out.{mode}.{key}"] = np.asarray(value, np.float32)
    if "train" in modes:
        for key, value in module.state_dict().items():
            # The discriminators see two batches, whose order is the method's choice.
            if key.endswith("running_mean") and not key.startswith(("disc", "body")):
                arrays[f"out.stats.{key}"] = np.asarray(value, np.float32)
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)  # pyright: ignore


@torch.no_grad()
def main():
    generator = torch.Generator().manual_seed(1)
    normal = lambda *shape: torch.randn(shape, generator=generator).half()
    images = {"x": torch.tanh(normal(3, 1, 32, 32))}
    write("ganomaly", Ganomaly(), images, ("eval", "train"))
    write("skip_ganomaly", SkipGanomaly(), images, ("eval", "train"))
    write("attention", Attention(), {"x": normal(3, 8, 4, 4)})
    maps = {"map": normal(3, 4, 8, 8), "z": normal(3, 5)}
    write("estimators", Estimators(), maps)


if __name__ == "__main__":
    main()
