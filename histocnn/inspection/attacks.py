"""Pictures that a network is led astray by: the fast gradient sign, projected descent, ascent.

Every function takes any torch module from pixels float [B, 3, H, W], 0 to 255, to logits [B, C];
a change is counted in grey levels of that picture, before anything is normalised.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn

from histocnn.errors import ModelError

WHITE = 255.0


class NoGradientError(ModelError):
    """A network whose output does not follow its pixels by steps that torch can differentiate."""


def log_odds(logits: Tensor, classes: Tensor) -> Tensor:
    """Of each picture ln p / (1 - p) of a class, [B]: how sure a network is, without an end.

    Its gradient is that of the cross-entropy, turned round and divided by 1 - p: the same signs,
    and it does not vanish where a network is so sure that 1 - p is 0 in float32.

    Args:
        logits: float [B, C].
        classes: int64 [B].

    Raises:
        ModelError: There is one class alone, which is certain whatever the picture shows.

    >>> log_odds(torch.tensor([[3.0, 1.0]]), torch.tensor([0])).item()
    2.0
    """
    if logits.shape[1] < 2:
        raise ModelError(
            "the network has one class alone, which is certain of every picture",
            "Give a model of two classes or more.",
        )
    own = classes[:, None]
    others = logits.scatter(1, own, -torch.inf)
    return logits.gather(1, own).squeeze(1) - torch.logsumexp(others, dim=1)


def pixel_gradient(
    network: nn.Module, pixels: Tensor, classes: Tensor, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """How the log-odds of a class change with every pixel.

    Args:
        network: Pixels [B, 3, H, W] → logits [B, C].
        pixels: float [B, 3, H, W].
        classes: int64 [B].
        temperature: Divides the logits.

    Returns:
        The gradient [B, 3, H, W] and the log-odds [B].

    Raises:
        NoGradientError: The output does not follow the pixels by what torch can differentiate.
        ModelError: One class alone.
    """
    asked = pixels.detach().clone().requires_grad_()
    with torch.enable_grad():
        odds = log_odds(network(asked) / temperature, classes)
        gradient = None
        if odds.requires_grad:
            (gradient,) = torch.autograd.grad(odds.sum(), asked, allow_unused=True)
    if gradient is None:
        raise NoGradientError(
            "no gradient of the network reaches the pixels",
            "Attacks and ascent need one: leave them out, or take a network without such a step.",
        )
    return gradient, odds.detach()


def check_gradient(network: nn.Module, pixels: Tensor, classes: Tensor) -> None:
    """Refuse a network that cannot be attacked by its gradient.

    Raises:
        NoGradientError: There is none, or it is 0 everywhere, as behind a rounding.
        ModelError: One class alone.
    """
    gradient, _ = pixel_gradient(network, pixels, classes)
    if not gradient.any():
        raise NoGradientError(
            "the network's gradient is 0 at every pixel of every picture",
            "Attacks and ascent need one: does it round its input?",
        )


def fgsm(network: nn.Module, pixels: Tensor, classes: Tensor, epsilon: float) -> Tensor:
    """One step of `epsilon` grey levels in every pixel, away from a class.

    Source: Goodfellow et al., "Explaining and harnessing adversarial examples", ICLR 2015: the
    sign of the gradient of the cross-entropy.

    Args:
        network: Pixels [B, 3, H, W] → logits [B, C].
        pixels: float [B, 3, H, W], 0 to 255.
        classes: int64 [B], the classes to lead away from.
        epsilon: Grey levels.

    Returns:
        float [B, 3, H, W], 0 to 255, nowhere more than `epsilon` from `pixels`.

    Raises:
        NoGradientError, ModelError: As `pixel_gradient`.
    """
    gradient, _ = pixel_gradient(network, pixels, classes)
    return (pixels - epsilon * gradient.sign()).clamp(0, WHITE)


def pgd(
    network: nn.Module,
    pixels: Tensor,
    classes: Tensor,
    epsilon: float,
    *,
    steps: int = 10,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Several small steps away from a class, none of which leaves `epsilon` grey levels.

    Source: Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR
    2018: from a random start within the bounds, steps of 2.5 × epsilon / steps.

    Args:
        network: Pixels [B, 3, H, W] → logits [B, C].
        pixels: float [B, 3, H, W], 0 to 255.
        classes: int64 [B], the classes to lead away from.
        epsilon: Grey levels.
        steps: How many.
        generator: Of the start, on the CPU.

    Returns:
        float [B, 3, H, W], 0 to 255, nowhere more than `epsilon` from `pixels`.

    Raises:
        NoGradientError, ModelError: As `pixel_gradient`.
    """
    low, high = (pixels - epsilon).clamp(min=0), (pixels + epsilon).clamp(max=WHITE)
    start = torch.rand(pixels.shape, generator=generator).to(pixels.device) * 2 - 1
    found = (pixels + epsilon * start).clamp(low, high)
    for _ in range(steps):
        gradient, _ = pixel_gradient(network, found, classes)
        found = (found - 2.5 * epsilon / steps * gradient.sign()).clamp(low, high)
    return found


def ascend(
    network: nn.Module,
    pixels: Tensor,
    classes: Tensor,
    *,
    confidence: float = 0.99,
    temperature: float = 1.0,
    most_steps: int = 200,
) -> Tensor:
    """Change pictures, a grey level at a time, until a network is sure of a class.

    Source: Nguyen et al., "Deep neural networks are easily fooled", CVPR 2015, by gradient ascent;
    here by its sign, so that whole grey levels stay whole.

    Args:
        network: Pixels [B, 3, H, W] → logits [B, C].
        pixels: float [B, 3, H, W], 0 to 255: where to begin, such as noise.
        classes: int64 [B], what each shall be called.
        confidence: Where a picture is left as it is.
        temperature: Divides the logits.
        most_steps: After so many every picture is left, sure or not.

    Returns:
        float [B, 3, H, W], 0 to 255.

    Raises:
        NoGradientError, ModelError: As `pixel_gradient`.
    """
    wanted = log(confidence / (1 - confidence))
    found, going = pixels.clone(), torch.arange(len(pixels), device=pixels.device)
    for _ in range(most_steps):
        gradient, odds = pixel_gradient(network, found[going], classes[going], temperature)
        unsure = odds < wanted
        going = going[unsure]
        if not len(going):
            break
        found[going] = (found[going] + gradient[unsure].sign()).clamp(0, WHITE)
    return found
