"""A faster forward pass over transformers' own weights, for batches of one size and, where they have it, one prompt."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.mm_grounding_dino import modeling_mm_grounding_dino as hf

from training.dense import CellGrid, DenseOutputs
from training.layer_outputs import LayerOutputs, chosen_proposals
from training.starter.attention import attend, deformable_attention, fuse

Shapes = tuple[tuple[int, int], ...]  # height, width of each feature level


@dataclass(frozen=True)
class Grid(CellGrid):
    """The cells of all feature levels of one picture size.

    Attributes:
        shapes: height and width of each level.
        proposal_logits: (1, S, 4) inverse sigmoid of each cell's box, infinite where the model allows none.
        allowed: (1, S, 1) bool.
    """

    shapes: Shapes
    proposal_logits: Tensor
    allowed: Tensor


@dataclass(frozen=True)
class Text:
    """A batch's text on its way through the model; one row where all pictures share their prompt.

    Attributes:
        features: (1 or B, T, D).
        mask: (1 or B, T) bool, false where padded.
        blocks: (1 or B, 1, T, T) bool, which tokens see each other.
        position: (1 or B, T, D).
    """

    features: Tensor
    mask: Tensor
    blocks: Tensor
    position: Tensor

    @property
    def seen(self) -> Tensor | None:
        """The mask as attention takes it, (B, 1, 1, T); None for a shared prompt, which is never padded."""
        return self.mask[:, None, None] if len(self.mask) > 1 else None


class StarterForward:
    """Runs an `MMGroundingDinoForObjectDetection` on unpadded pictures of one size.

    Same weights, same mathematics: a prompt that all share is encoded once, and pictures need no masks. A test holds
    it to the outputs of transformers.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._grids: dict[Shapes, Grid] = {}

    def dense(self, pixels: Tensor, input_ids: Tensor, text_mask: Tensor) -> DenseOutputs:
        """The proposal head on normalised neck features and text, without the encoder between.

        This is what the whole model computes while its encoder adds nothing, see `start_encoder_as_identity`.

        Args:
            pixels: (B, 3, H, W).
            input_ids: (1 or B, T).
            text_mask: (1 or B, T) bool, false where padded.
        """
        body = self.model.model
        image, _, grid = self._image_features(pixels)
        text = self._text(input_ids, text_mask).features
        width = (image.shape[-1],)
        cells = body.enc_output_norm(body.enc_output(F.layer_norm(image, width)))
        logits = _contrast(body.encoder_output_class_embed, cells, F.layer_norm(text, width))
        centres = torch.cat([grid.centres, torch.full_like(grid.centres, 0.05) * 2 ** grid.level[:, None]], -1)
        boxes = (_box_deltas(body.encoder_output_bbox_embed, cells) + torch.logit(centres, eps=1e-5)).sigmoid()
        return DenseOutputs(logits, boxes, grid)

    def __call__(self, pixels: Tensor, input_ids: Tensor, text_mask: Tensor) -> LayerOutputs:
        """The whole model's supervised layers, as `training.layer_outputs.layer_outputs` gives them.

        Logits of padded tokens hold any number.

        Args:
            pixels: (B, 3, H, W).
            input_ids: (1 or B, T), one row for a prompt that all pictures share.
            text_mask: (1 or B, T) bool, false where padded.
        """
        image, position, grid = self._image_features(pixels)
        text = self._text(input_ids, text_mask)
        features = text.features.expand(len(pixels), -1, -1)
        for layer in self.model.model.encoder.layers:
            image, features = self._encoder_layer(layer, image, position, replace(text, features=features), grid)
        logits, box_logits = self._proposals(image, features, text.mask, grid)
        references = box_logits.detach().sigmoid()
        # In bf16 two queries on one thing look the same to each other, and both answer for it.
        with torch.autocast(pixels.device.type, enabled=False):
            layer_logits, layer_boxes = self._decode(
                image.float(), replace(text, features=features.float()), references, grid
            )
        return LayerOutputs(layer_logits, layer_boxes, logits, box_logits.sigmoid())

    def _text(self, input_ids: Tensor, text_mask: Tensor) -> Text:
        body = self.model.model
        blocks, position = hf.generate_masks_with_special_tokens_and_transfer_map(input_ids, body.special_tokens)
        blocks = blocks[:, None]
        hidden = body.text_backbone(input_ids, blocks, torch.zeros_like(input_ids), position).last_hidden_state
        sine = hf.encode_sinusoidal_position_embedding(
            position[..., None].float(), num_pos_feats=self.model.config.d_model
        )
        return Text(body.text_projection(hidden), text_mask, blocks, sine)

    def _image_features(self, pixels: Tensor) -> tuple[Tensor, Tensor, Grid]:
        body = self.model.model
        maps = body.backbone.conv_encoder.model(pixels).feature_maps
        maps = [project(level) for project, level in zip(body.input_proj_vision, maps, strict=True)]
        shapes = tuple((level.shape[-2], level.shape[-1]) for level in maps)
        position = torch.cat(
            [
                body.backbone.position_embedding(level, torch.ones(1, *shape, dtype=torch.bool, device=pixels.device))
                .flatten(2)
                .mT
                + embed
                for level, shape, embed in zip(maps, shapes, body.level_embed, strict=True)
            ],
            1,
        )
        if shapes not in self._grids:
            self._grids[shapes] = grid_of(shapes, pixels.device)
        return torch.cat([level.flatten(2).mT for level in maps], 1), position, self._grids[shapes]

    def _encoder_layer(
        self, layer: Any, image: Tensor, position: Tensor, given: Text, grid: Grid
    ) -> tuple[Tensor, Tensor]:
        image, text = fuse(layer.fusion_layer, image, given.features, given.seen)
        enhancer = layer.text_enhancer_layer
        placed = text + given.position
        text = enhancer.layer_norm_before(text + attend(enhancer.self_attn, placed, placed, text, given.blocks))
        text = enhancer.layer_norm_after(text + enhancer.fc2(enhancer.activation(enhancer.fc1(text))))
        deformable = layer.deformable_layer
        centres = grid.centres[:, :, None].expand(-1, -1, len(grid.shapes), -1)
        moved = deformable_attention(deformable.self_attn, image + position, image, centres, grid.shapes)
        image = deformable.self_attn_layer_norm(image + moved)
        image = deformable.final_layer_norm(image + deformable.fc2(deformable.activation_fn(deformable.fc1(image))))
        return image, text

    def _proposals(self, image: Tensor, text: Tensor, text_mask: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        body = self.model.model
        cells = body.enc_output_norm(body.enc_output(image.masked_fill(~grid.allowed, 0.0)))
        logits = _contrast(body.encoder_output_class_embed, cells, text)
        real = logits.masked_fill(~text_mask[:, None], -torch.inf)
        chosen = chosen_proposals(real, min(self.model.config.num_queries, image.shape[1]))[..., None]  # (B, Q, 1)
        cells = cells.gather(1, chosen.expand(-1, -1, cells.shape[-1]))
        start = grid.proposal_logits.expand(len(image), -1, -1).gather(1, chosen.expand(-1, -1, 4))
        return logits.gather(1, chosen.expand(-1, -1, logits.shape[-1])), _box_deltas(
            body.encoder_output_bbox_embed, cells
        ) + start

    def _decode(self, image: Tensor, text: Text, references: Tensor, grid: Grid) -> tuple[list[Tensor], list[Tensor]]:
        decoder = self.model.model.decoder
        contents = self.model.model.query_position_embeddings.weight[: references.shape[1]]
        hidden = contents.expand(len(image), -1, -1)
        previous = torch.logit(references, eps=1e-5)
        logits: list[Tensor] = []
        boxes: list[Tensor] = []
        for index, layer in enumerate(decoder.layers):
            hidden = self._decoder_layer(layer, hidden, image, text, references, grid)
            normed = decoder.layer_norm(hidden)
            logits.append(_contrast(self.model.class_embed[index], normed, text.features))
            boxes.append((_box_deltas(self.model.bbox_embed[index], normed) + previous).sigmoid())
            refined = (_box_deltas(self.model.bbox_embed[index], hidden) + torch.logit(references, eps=1e-5)).sigmoid()
            previous, references = torch.logit(refined, eps=1e-5), refined.detach()
        return logits, boxes

    def _decoder_layer(
        self, layer: Any, hidden: Tensor, image: Tensor, text: Text, references: Tensor, grid: Grid
    ) -> Tensor:
        sine = hf.encode_sinusoidal_position_embedding(references, num_pos_feats=self.model.config.d_model // 2)
        position = self.model.model.decoder.reference_points_head(sine)
        placed = hidden + position
        hidden = layer.self_attn_layer_norm(hidden + attend(layer.self_attn, placed, placed, hidden))
        hidden = layer.encoder_attn_text_layer_norm(
            hidden + attend(layer.encoder_attn_text, hidden + position, text.features, text.features, text.seen)
        )
        seen = deformable_attention(layer.encoder_attn, hidden + position, image, references[:, :, None], grid.shapes)
        hidden = layer.encoder_attn_layer_norm(hidden + seen)
        result: Tensor = layer.final_layer_norm(hidden + layer.fc2(layer.activation_fn(layer.fc1(hidden))))
        return result


def _contrast(embed: Any, image: Tensor, text: Tensor) -> Tensor:
    logits: Tensor = image @ text.mT / math.sqrt(image.shape[-1]) + embed.bias
    return logits


def _box_deltas(head: Any, hidden: Tensor) -> Tensor:
    """In full precision whatever the rest runs in: bf16 would move a box by up to a pixel."""
    with torch.autocast(hidden.device.type, enabled=False):
        deltas: Tensor = head(hidden.float())
    return deltas


def grid_of(shapes: Shapes, device: torch.device | str = "cpu") -> Grid:
    """The cells of feature levels of these heights and widths."""
    centres, cells, levels, proposals = [], [], [], []
    for level, (height, width) in enumerate(shapes):
        y, x = torch.meshgrid(
            torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
        )
        centre = torch.stack([x / width, y / height], -1).reshape(-1, 2)
        centres.append(centre)
        cells.append(torch.tensor([1 / width, 1 / height], device=device).expand_as(centre))
        levels.append(torch.full((len(centre),), level, device=device))
        proposals.append(torch.cat([centre, torch.full_like(centre, 0.05 * 2.0**level)], -1))
    boxes = torch.cat(proposals)[None]
    allowed = ((boxes > 0.01) & (boxes < 0.99)).all(-1, keepdim=True)
    return Grid(
        shapes=shapes,
        centres=torch.cat(centres)[None],
        cell_wh=torch.cat(cells)[None],
        level=torch.cat(levels),
        proposal_logits=torch.logit(boxes).masked_fill(~allowed, torch.inf),
        allowed=allowed,
    )
