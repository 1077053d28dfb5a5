"""A starter's supervised layers, by the engine's forward pass over pictures of one size."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.network.grid import FIRST_SIDE
from engine.network.network import GroundingNetwork, Image, box_deltas, contrast
from training.dense import DenseOutputs
from training.layer_outputs import LayerOutputs


class StarterForward:
    """Runs an `MMGroundingDinoForObjectDetection` on unpadded pictures of one size.

    A prompt that all share is encoded once, and pictures need no masks. A test holds it to the outputs of transformers.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._network = GroundingNetwork(model)

    def dense(self, pixels: Tensor, input_ids: Tensor, text_mask: Tensor) -> DenseOutputs:
        """The proposal head on normalised neck features and text, without the encoder between.

        This is what the whole model computes while its encoder adds nothing, see `start_encoder_as_identity`.

        Args:
            pixels: (B, 3, H, W).
            input_ids: (1 or B, T).
            text_mask: (1 or B, T) bool, false where padded.
        """
        body = self.model.model
        image = self._network.image(pixels)
        text = self._network.text(input_ids, text_mask).features
        width, grid = (image.cells.shape[-1],), image.grid
        cells = body.enc_output_norm(body.enc_output(F.layer_norm(image.cells, width)))
        with torch.autocast(pixels.device.type, enabled=False):
            logits = contrast(body.encoder_output_class_embed, cells.float(), F.layer_norm(text.float(), width))
        centres = torch.cat([grid.centres, torch.full_like(grid.centres, FIRST_SIDE) * 2 ** grid.level[:, None]], -1)
        boxes = (box_deltas(body.encoder_output_bbox_embed, cells) + torch.logit(centres, eps=1e-5)).sigmoid()
        return DenseOutputs(logits, boxes, grid)

    def __call__(self, pixels: Tensor, input_ids: Tensor, text_mask: Tensor) -> tuple[LayerOutputs, Image]:
        """The whole model's supervised layers, as `training.layer_outputs.layer_outputs` gives them, and its cells.

        Logits of padded tokens hold any number. The cells are those after the encoder.

        Args:
            pixels: (B, 3, H, W).
            input_ids: (1 or B, T), one row for a prompt that all pictures share.
            text_mask: (1 or B, T) bool, false where padded.
        """
        image, text = self._network.encode(self._network.image(pixels), self._network.text(input_ids, text_mask))
        proposals = self._network.proposals(image, text)
        # In bf16 two queries on one thing look the same to each other, and both answer for it.
        with torch.autocast(pixels.device.type, enabled=False):
            answers = list(
                self._network.decode(
                    replace(image, cells=image.cells.float()),
                    replace(text, features=text.features.float()),
                    proposals.box_logits.detach().sigmoid(),
                )
            )
        layers = LayerOutputs(
            [answer.logits for answer in answers],
            [answer.boxes for answer in answers],
            proposals.logits,
            proposals.box_logits.sigmoid(),
        )
        return layers, image
