"""GANomaly in PyTorch, the other side of the speed comparison.

The same mathematics (Akcay et al., 2018, https://arxiv.org/abs/1805.06725) in
forms of rising speed: as its authors run it, tuned by hand, and, where there is a
GPU, compiled. None re-initialises the discriminator when its loss vanishes, as the
authors' code does: it would cost a synchronisation each step.

Images are float tensors `[B, C, H, W]` in `[-1, 1]`, `H == W` a power of two from
32 upward.
"""

import copy
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Scorer = Callable[[torch.Tensor], torch.Tensor]

# As tables show them.
AUTHORS, TUNED = "PyTorch, authors' form", "PyTorch, tuned"
BFLOAT16 = "PyTorch, tuned, bfloat16"
W_ADV, W_CON, W_ENC = 1.0, 50.0, 1.0
ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}


class Shape(NamedTuple):
    """Sizes of images and networks; defaults are the authors'."""

    size: int = 32
    channels: int = 1
    latent: int = 100
    features: int = 64

    def widths(self) -> list[int]:
        """Channels after each halving of the image, down to 4x4."""
        stages = self.size.bit_length() - 3
        if self.size < 32 or self.size != 4 * 2**stages:
            raise ValueError(f"`size` (={self.size}) must be a power of two >= 32.")
        return [self.features * 2**i for i in range(stages)]


def encoder(shape: Shape, outputs: int) -> nn.Sequential:
    """Maps images `[B, C, H, W]` to `[B, outputs, 1, 1]`."""
    widths = shape.widths()
    layers = [
        nn.Conv2d(shape.channels, widths[0], 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [
            nn.Conv2d(before, after, 4, 2, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], outputs, 4, bias=False))


def decoder(shape: Shape) -> nn.Sequential:
    """Maps codes `[B, latent, 1, 1]` to images `[B, C, H, W]`."""
    widths = shape.widths()[::-1]
    layers = [
        nn.ConvTranspose2d(shape.latent, widths[0], 4, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [
            nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    last = nn.ConvTranspose2d(widths[-1], shape.channels, 4, 2, 1, bias=False)
    return nn.Sequential(*layers, last, nn.Tanh())


class Generator(nn.Module):
    """Encoder, decoder and the encoder of the reconstruction."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.encoder = encoder(shape, shape.latent)
        self.decoder = decoder(shape)
        self.reencoder = encoder(shape, shape.latent)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Returns the reconstruction and the codes before and after it."""
        z = self.encoder(x)
        x_hat = self.decoder(z)
        return x_hat, z, self.reencoder(x_hat)


class Discriminator(nn.Module):
    """Logits of being real, and the features that the generator matches."""

    def __init__(self, shape: Shape):
        super().__init__()
        *trunk, self.head = encoder(shape, 1)
        self.trunk = nn.Sequential(*trunk)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns logits `[B]` and features `[B, F, 4, 4]`."""
        features = self.trunk(x)
        return self.head(features).flatten(), features


def initialise(module: nn.Module) -> None:
    """DCGAN's initialisation: normal with deviation 0.02."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def channels_last(module: nn.Module) -> None:
    """Lays out the kernels of `module` for images with channels last, in place."""
    module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def as_laid_out(gradient: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The gradient with the strides of its parameter, which fused Adam wants."""
    if gradient.stride() == like.stride():
        return gradient
    return torch.empty_like(like).copy_(gradient)


def latent_error(generator: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the two codes, shape `[B]`."""
    _, z, z_hat = generator(x)
    return (z - z_hat).square().flatten(1).mean(1)


def fold(layers: nn.Sequential) -> nn.Sequential:
    """The same function in evaluation mode, BatchNorm folded into convolutions."""
    folded: list[nn.Module] = []
    for layer in copy.deepcopy(layers).eval():
        if isinstance(layer, nn.BatchNorm2d):
            convolution = folded.pop()
            assert isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d)
            transposed = isinstance(convolution, nn.ConvTranspose2d)
            layer = fuse_conv_bn_eval(convolution, layer, transpose=transposed)
        folded.append(layer)
    return nn.Sequential(*folded)


class Form:
    """What the forms share: networks, initialisation and scores."""

    def __init__(
        self,
        shape: Shape,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.generator = Generator(shape).apply(initialise).to(device, dtype)
        self.discriminator = Discriminator(shape).apply(initialise).to(device, dtype)

    def step(self, x: torch.Tensor) -> None:
        """One step of the generator and one of the discriminator on a batch."""
        raise NotImplementedError

    def score(self, x: torch.Tensor) -> torch.Tensor:
        """Anomaly scores `[B]` from stored BatchNorm statistics."""
        self.generator.eval()
        with torch.no_grad():
            scores = latent_error(self.generator, x)
        self.generator.train()
        return scores

    def folded(self) -> Scorer:
        """The fastest scorer of the present weights."""
        generator = copy.deepcopy(self.generator)
        for name in ("encoder", "decoder", "reencoder"):
            setattr(generator, name, fold(getattr(generator, name)))
        channels_last(generator)

        @torch.inference_mode()
        def score(x):
            return latent_error(generator, x)

        return score


class AuthorsForm(Form):
    """As the authors' code computes it.

    The discriminator runs twice on each of `x` and `x_hat`; the generator's backward
    pass also fills the discriminator's gradients, which are zeroed before its own step.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), **ADAM)
        self.discriminator_adam = torch.optim.Adam(
            self.discriminator.parameters(), **ADAM
        )

    def step(self, x: torch.Tensor) -> None:
        """See the base class."""
        x_hat, z, z_hat = self.generator(x)
        real, fake = (self.discriminator(y)[0].sigmoid() for y in (x, x_hat.detach()))

        self.generator_adam.zero_grad()
        adv = F.mse_loss(self.discriminator(x)[1], self.discriminator(x_hat)[1])
        con = F.l1_loss(x_hat, x)
        enc = F.mse_loss(z_hat, z)
        (W_ADV * adv + W_CON * con + W_ENC * enc).backward()
        self.generator_adam.step()

        self.discriminator_adam.zero_grad()
        loss_real = F.binary_cross_entropy(real, torch.ones_like(real))
        loss_fake = F.binary_cross_entropy(fake, torch.zeros_like(fake))
        (0.5 * (loss_real + loss_fake)).backward()
        self.discriminator_adam.step()


class TunedForm(Form):
    """The same step with nothing computed twice.

    Channels last, one pass of the discriminator on each of `x` and `x_hat`, gradients
    only with respect to what each loss trains, logits, fused Adam.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        channels_last(self.generator)
        channels_last(self.discriminator)
        self.generating = tuple(self.generator.parameters())
        self.discriminating = tuple(self.discriminator.parameters())
        self.adam = torch.optim.Adam(
            self.generating + self.discriminating, fused=True, **ADAM
        )

    def gradients(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Gradients of the generator's loss, then of the discriminator's."""
        x_hat, z, z_hat = self.generator(x)
        real, f = self.discriminator(x)
        fake, f_hat = self.discriminator(x_hat)
        adv = F.mse_loss(f, f_hat)
        con = F.l1_loss(x_hat, x)
        enc = F.mse_loss(z_hat, z)
        loss = W_ADV * adv + W_CON * con + W_ENC * enc
        loss_discriminator = 0.5 * (F.softplus(-real) + F.softplus(fake)).mean()
        grad = torch.autograd.grad
        of_generator = grad(loss, self.generating, retain_graph=True)
        return of_generator + grad(loss_discriminator, self.discriminating)

    def step(self, x: torch.Tensor) -> None:
        """See the base class."""
        x = x.contiguous(memory_format=torch.channels_last)
        parameters = self.generating + self.discriminating
        for parameter, gradient in zip(parameters, self.gradients(x), strict=True):
            parameter.grad = as_laid_out(gradient, parameter)
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)


def has_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16; others take thirty times as long."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else ()
    return device == "cuda" or not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


def in_bfloat16(function: Callable) -> Callable:
    """The function of a batch with products in bfloat16, as `torch.autocast` does."""

    def run(x):
        with torch.autocast(x.device.type, torch.bfloat16):
            return function(x)

    return run


class Bfloat16Form(TunedForm):
    """The tuned step with products in bfloat16, and parameters in float32."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gradients = in_bfloat16(super().gradients)


class CompiledForm(TunedForm):
    """The tuned step compiled, replayed as a CUDA graph.

    Compiled on the first batch, for its shape alone.
    """

    def __init__(self, *args, mode: str = "reduce-overhead", **kwargs):
        super().__init__(*args, **kwargs)
        # Lets the compiler see through `torch.autograd.grad`.
        torch._dynamo.config.trace_autograd_ops = True
        self.gradients = torch.compile(
            super().gradients, fullgraph=True, dynamic=False, mode=mode
        )


def forms(device: str) -> dict[str, type[Form]]:
    """The forms worth running on `device`, by the name that tables show."""
    found: dict[str, type[Form]] = {
        AUTHORS: AuthorsForm,
        TUNED: TunedForm,
    }
    if has_bfloat16(device):
        found[BFLOAT16] = Bfloat16Form
    if device == "cuda":
        found["PyTorch, compiled"] = CompiledForm
    return found


def stepping(form: Form, batches: torch.Tensor) -> Callable[[], int]:
    """A function that steps once on each of `batches`, `[steps, B, C, H, W]`.

    It waits for the device and returns how many images there were.
    """

    def work():
        for batch in batches:
            form.step(batch)
        if batches.is_cuda:
            torch.cuda.synchronize()
        return batches.shape[0] * batches.shape[1]

    return work


def prepare(*, cuda: bool, tf32: bool, threads: int) -> str:
    """Sets PyTorch up for speed, checks the forms, and returns the device to use.

    Args:
      cuda: whether to run on the GPU.
      tf32: whether float32 products on a GPU may round their inputs to TF32.
      threads: processor cores to use.

    Returns:
      `"cuda"` or `"cpu"`.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    device = "cuda" if cuda else "cpu"
    self_check(device)
    return device


def self_check(device: str = "cpu") -> None:
    """Raises unless all forms train to the same weights and score alike.

    In float64, where rounding cannot hide a difference: two steps from the same
    weights, then scores with and without folded BatchNorm.
    """
    torch.manual_seed(0)
    batches = 2 * torch.rand(2, 8, 1, 32, 32, dtype=torch.float64, device=device) - 1
    built = {
        name: form(Shape(features=8), device=device, dtype=torch.float64)
        for name, form in forms(device).items()
    }
    first, *others = built.values()
    for other in others:
        other.generator.load_state_dict(first.generator.state_dict())
        other.discriminator.load_state_dict(first.discriminator.state_dict())
    for form in built.values():
        for x in batches:
            form.step(x)

    expected = first.score(batches[0])
    parameters = dict(first.generator.named_parameters(prefix="generator"))
    parameters |= first.discriminator.named_parameters(prefix="discriminator")
    for name, form in built.items():
        found = dict(form.generator.named_parameters(prefix="generator"))
        found |= form.discriminator.named_parameters(prefix="discriminator")
        message = f"Weights of {name} differ."
        torch.testing.assert_close(found, parameters, rtol=0, atol=1e-9, msg=message)
        scores = {"as trained": form.score(batches[0])}
        scores["folded"] = form.folded()(batches[0]).clone()
        for kind, score in scores.items():
            message = f"Scores of {name}, {kind}, differ."
            torch.testing.assert_close(score, expected, rtol=1e-9, atol=0, msg=message)
