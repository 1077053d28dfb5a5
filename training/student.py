"""A detector that learns: the forward pass of a batch up to its loss."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from training.config import TrainConfig
from training.criterion import GroundingCriterion, at_least_one, profile
from training.data import Batch
from training.denoising import ContrastiveDenoising, Copies
from training.dense import DenseOutputs, dense_loss, seen_cells
from training.layer_outputs import DecoderStates, layer_outputs
from training.precision import autocast
from training.sampling import sample_by_engine
from training.targets import PaddedTargets, pad_targets


class Student(nn.Module):
    """A detector of transformers, with what is needed beside it to learn.

    All that uses a parameter happens in `forward`, or in `dense`, and a step without boxes uses the same ones, so that
    processes can add up their gradients. It knows no dataset and no optimiser.

    Attributes:
        model: a two-stage `GroundingDinoForObjectDetection` or `MMGroundingDinoForObjectDetection`; only how its
            deformable attention samples is changed, see `training.sampling`.
        denoising: its parameters learn with the model's, and are thrown away afterwards; None: without.
    """

    def __init__(self, model: Any, config: TrainConfig) -> None:
        super().__init__()
        self.model = model
        sample_by_engine(model)
        self.criterion = GroundingCriterion(profile(model.config.model_type, config))
        self.denoising = ContrastiveDenoising(model, config) if config.denoising else None
        self._config = config

    def counted(self, batch: Batch) -> tuple[int, int]:
        """How many labelled boxes a batch has, and how many of them are copied: what the loss of a step divides by."""
        boxes = [len(targets.boxes) for targets in batch.targets]
        return sum(boxes), 0 if self.denoising is None else sum(map(self.denoising.counted, boxes))

    def forward(
        self,
        batch: Batch,
        *,
        boxes_in_step: int | Tensor | None = None,
        denoised_in_step: int | Tensor | None = None,
        seed: int = 0,
    ) -> dict[str, Tensor]:
        """Weighted terms whose sum is the loss, as `GroundingCriterion` names them; each a scalar in float32.

        Args:
            batch: on the model's device.
            boxes_in_step: the first number of `counted`, summed over all parts of the step; None: of this batch.
            denoised_in_step: the second likewise.
            seed: of the noise on the copied labels.
        """
        text_mask, targets = _wanted(batch)
        device = batch.pixel_values.device.type
        copies = None
        if self.denoising is not None:
            copies = self.denoising.copies(targets, text_mask, batch.image_ids, seed)
        with self._shown(copies) as states, autocast(device, self._config.precision):
            outputs = self.model(**_inputs(batch))
        with torch.autocast(device, enabled=False):
            layers = layer_outputs(
                self.model,
                outputs,
                look_forward_twice=self._config.look_forward_twice,
                copies=states[0] if states else None,
            )
            terms: dict[str, Tensor] = self.criterion(
                layers, targets, text_mask, boxes_in_step, copies, denoised_in_step
            )
            return terms

    def dense(self, batch: Batch, *, boxes_in_step: int | Tensor | None = None) -> dict[str, Tensor]:
        """The terms of a dense stage, whose sum is its loss: "class_dense", "l1_dense" and "giou_dense".

        Every cell in the middle of a labelled box is taught to propose it, see `training.dense`. Nothing after the
        proposals learns.

        Args:
            batch: on the model's device.
            boxes_in_step: boxes to divide by where this batch is one part of a step; None: the answering cells.
        """
        text_mask, targets = _wanted(batch)
        device = batch.pixel_values.device.type
        with seen_cells(self.model.model.decoder) as seen, autocast(device, self._config.precision):
            outputs = self.model.model(**_inputs(batch))
        ((grid, picture),) = seen
        with torch.autocast(device, enabled=False):
            box_logits = outputs.enc_outputs_coord_logits.float()  # infinite where there can be no proposal
            allowed = picture & box_logits.isfinite().all(-1)
            boxes = box_logits.masked_fill(~allowed[..., None], 0.0).sigmoid()
            logits = outputs.enc_outputs_class[..., : text_mask.shape[1]]
            divisor = None if boxes_in_step is None else at_least_one(boxes_in_step)
            terms = dense_loss(DenseOutputs(logits, boxes, grid, allowed), targets, self.criterion.config, divisor)
        return {f"{name}_dense": term for name, term in terms.items()}

    def _shown(self, copies: Copies | None) -> AbstractContextManager[list[DecoderStates]]:
        if self.denoising is None or copies is None:
            return nullcontext([])
        return self.denoising.shown(self.model.model.decoder, copies)


def _wanted(batch: Batch) -> tuple[Tensor, PaddedTargets]:
    text_mask = batch.attention_mask.bool()
    return text_mask, pad_targets(batch.targets, text_mask)


def _inputs(batch: Batch) -> dict[str, Tensor]:
    return {
        "pixel_values": batch.pixel_values,
        "pixel_mask": batch.pixel_mask,
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
    }
