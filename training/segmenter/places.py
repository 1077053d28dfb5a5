"""What a box is, learnt before any picture: the first lesson of a decoder that starts from nothing."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.segmenter.loss import MaskLossWeights, mask_losses
from training.segmenter.optimizers import optimizers_of, set_rate
from training.worlds.textures import Rng

_WARMUP = 20  # steps
_FLAT = 0.6  # part of the steps before the rate falls to nothing
_ONLY_SHAPE = MaskLossWeights(iou=0.0)  # scores of masks that are all wrong teach the decoder one answer for all
_PICTURES, _BOXES = 4, 5
_HALF = (0.03, 0.45)  # half a box's sides, as parts of the picture's


def learn_places(model: Any, steps: int, seed: int) -> Iterator[float]:
    """Teach the decoder, in place, to fill the ellipse in a box, noise standing for the picture; yields the dice loss.

    With pictures from the start a segmenter answers "nothing" for hundreds of steps, each three times as dear.
    """
    rng = np.random.default_rng((seed, 9))
    taught = {name: value for name, value in model.named_parameters() if name.startswith(("mask_dec", "prompt_enc"))}
    learning = {name: value for name, value in taught.items() if value.requires_grad}
    optimizers = optimizers_of(learning, rate=1e-3, matrix_rate=2e-3, weight_decay=0.02)
    side = model.config.vision_config.image_size
    places = model.get_image_wide_positional_embeddings().detach()  # (1, C, h, w)
    for step in range(steps):
        set_rate(optimizers, min((step + 1) / _WARMUP, 1.0, (steps - step) / (steps * (1 - _FLAT))))
        boxes = _boxes(rng, side)
        loss = _losses(model, places, boxes, rng)
        torch.autograd.backward(loss["cells"] + loss["dice"])
        nn.utils.clip_grad_norm_(list(learning.values()), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        yield loss["dice"].item()


def _losses(model: Any, places: Tensor, boxes: Tensor, rng: Rng) -> dict[str, Tensor]:
    noise = torch.from_numpy(rng.standard_normal((_PICTURES, *places.shape[1:]), np.float32))
    sparse, dense = model.prompt_encoder(None, None, boxes, None)
    with torch.autocast("cpu", torch.bfloat16):
        everywhere = places.expand(_PICTURES, -1, -1, -1)
        # As strong as what the encoder's last layer norm gives: a deviation of 1 in all.
        logits, scores = model.mask_decoder(0.7 * (noise + places), everywhere, sparse, dense, multimask_output=False)
    truth = _ellipses(boxes, model.config.vision_config.image_size, logits.shape[-1])
    return mask_losses(logits, scores, truth, _ONLY_SHAPE)


def _boxes(rng: Rng, side: int) -> Tensor:
    """(B, N, 4) pixels, small ones as often as large ones."""
    half = np.exp(rng.uniform(np.log(_HALF[0]), np.log(_HALF[1]), (_PICTURES, _BOXES, 2))) * side
    middle = rng.uniform(0, side, (_PICTURES, _BOXES, 2))
    corners = np.concatenate([middle - half, middle + half], -1)
    return torch.from_numpy(np.clip(corners, 0, side).astype(np.float32))


def _ellipses(boxes: Tensor, side: int, cells: int) -> Tensor:
    """(B, N, m, m) of 0 and 1."""
    middles = (torch.arange(cells) + 0.5) * side / cells
    centre, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]).clamp(min=1) / 2
    u, v = ((middles - centre[..., axis, None]) / half[..., axis, None] for axis in (0, 1))  # each (B, N, m)
    return (u[..., None, :].square() + v[..., :, None].square() <= 1).float()
