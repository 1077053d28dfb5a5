"""The forward pass of Grounding DINO and MM-Grounding-DINO in parts that can be kept and shared."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.mm_grounding_dino import modeling_mm_grounding_dino as hf

from engine.network.attention import attend
from engine.network.deformable import Shapes, deformable_attention, kernel_on
from engine.network.grid import Grid, grid_of
from engine.network.switches import Switches

_LOGIT_EPS = 1e-5  # as in the models' own box refinement


@dataclass(frozen=True)
class Text:
    """Prompts on their way through the network.

    Attributes:
        features: (1 or B, T, D); one row is a prompt that all pictures share.
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


@dataclass(frozen=True)
class Image:
    """Pictures of one size, without padding, as the encoder reads them.

    Attributes:
        cells: (B, S, D) backbone features of all levels.
        position: (1, S, D).
        grid: where the cells lie.
    """

    cells: Tensor
    position: Tensor
    grid: Grid


@dataclass(frozen=True)
class Proposals:
    """The Q cells that become the decoder's queries.

    Attributes:
        logits: (B, Q, T).
        box_logits: (B, Q, 4) cxcywh before the sigmoid.
    """

    logits: Tensor
    box_logits: Tensor


@dataclass(frozen=True)
class Answer:
    """What a decoder layer says.

    Attributes:
        logits: (B, Q, T), longer where the switches want it; of padded tokens any number.
        boxes: (B, Q, 4) cxcywh in [0, 1].
    """

    logits: Tensor
    boxes: Tensor


class GroundingNetwork:
    """Runs transformers' `GroundingDinoForObjectDetection` or `MMGroundingDinoForObjectDetection`.

    Their weights and mathematics, for pictures of one size without padding: so it needs no masks for pictures, and
    what depends on the picture alone or on the prompt alone is made apart, to be kept for the next question.
    Dropout is left out: a network that is trained through it must have none.

    Attributes:
        model: whose weights are used, as they are at each call; see `engine.network.resnet` for one exception.
        switches: which of several equal ways is taken.
    """

    def __init__(self, model: Any, switches: Switches | None = None) -> None:
        self.model = model
        self.switches = switches or Switches()
        self._run = torch.compile(self._answer) if self.switches.compiled else self._answer
        self._grids: dict[tuple[Shapes, torch.device], Grid] = {}
        self._sines: tuple[tuple[Shapes, torch.device, torch.dtype], list[Tensor]] | None = None

    @staticmethod
    def runs(config: Any) -> bool:
        """Whether it knows a network of these settings: those of all published checkpoints."""
        return bool(config.two_stage and config.embedding_init_target and config.position_embedding_type == "sine")

    def text(self, input_ids: Tensor, mask: Tensor) -> Text:
        """What depends on the prompt alone.

        Args:
            input_ids: (1 or B, T) long.
            mask: (1 or B, T) bool, false where padded.
        """
        body = self.model.model
        blocks, position = hf.generate_masks_with_special_tokens_and_transfer_map(input_ids, body.special_tokens)
        blocks = blocks[:, None]
        hidden = body.text_backbone(input_ids, blocks, torch.zeros_like(input_ids), position).last_hidden_state
        sine = hf.encode_sinusoidal_position_embedding(
            position[..., None].float(), num_pos_feats=self.model.config.d_model
        )
        return Text(body.text_projection(hidden), mask, blocks, sine)

    def image(self, pixels: Tensor) -> Image:
        """What depends on the pictures alone.

        Args:
            pixels: (B, 3, H, W), normalised, without padding.
        """
        body = self.model.model
        levels = self.switches.feature_maps(body.backbone.conv_encoder.model, pixels)
        maps = [project(level) for project, level in zip(body.input_proj_vision, levels, strict=False)]
        for project in body.input_proj_vision[len(levels) :]:
            maps.append(project(levels[-1] if len(maps) == len(levels) else maps[-1]))
        shapes = tuple((level.shape[-2], level.shape[-1]) for level in maps)
        position = [sine + embed for sine, embed in zip(self._sines_of(maps, shapes), body.level_embed, strict=True)]
        cells = torch.cat([level.flatten(2).mT for level in maps], 1)
        return Image(cells, torch.cat(position, 1), self._grid(shapes, pixels.device))

    def encode(self, image: Image, text: Text) -> tuple[Image, Text]:
        """Both after looking at each other.

        Args:
            image: of B pictures.
            text: one prompt for all, or one for each.
        """
        cells, features = image.cells, text.features.expand(len(image.cells), -1, -1)
        for layer in self.model.model.encoder.layers:
            cells, features = self._encoder_layer(layer, replace(image, cells=cells), replace(text, features=features))
        return replace(image, cells=cells), replace(text, features=features)

    def proposals(self, image: Image, text: Text) -> Proposals:
        """The cells that the encoded text is likeliest to mean, best first."""
        body = self.model.model
        cells = body.enc_output_norm(body.enc_output(image.cells.masked_fill(~image.grid.allowed, 0.0)))
        logits = self._logits(body.encoder_output_class_embed, cells, text)
        real = F.pad(text.mask, (0, logits.shape[-1] - text.mask.shape[-1]))
        best = logits.masked_fill(~real[:, None], -torch.inf).max(-1).values  # (B, S)
        count = min(self.model.config.num_queries, best.shape[1])
        chosen = torch.topk(best, count, dim=1).indices[..., None]  # (B, Q, 1)
        start = image.grid.proposal_logits.expand(len(cells), -1, -1).gather(1, chosen.expand(-1, -1, 4))
        cells = cells.gather(1, chosen.expand(-1, -1, cells.shape[-1]))
        return Proposals(
            logits.gather(1, chosen.expand(-1, -1, logits.shape[-1])),
            box_deltas(body.encoder_output_bbox_embed, cells) + start,
        )

    def decode(self, image: Image, text: Text, references: Tensor) -> Iterator[Answer]:
        """What each decoder layer says of the queries, from the first to the last.

        A layer's box starts from the box of the layer before with its gradient ("look forward twice", Zhang et al.,
        arXiv:2203.03605, section 3.5); the values are transformers'.

        Args:
            image: as `encode` returns it.
            text: as `encode` returns it.
            references: (B, Q, 4) cxcywh in [0, 1], without a gradient.
        """
        decoder = self.model.model.decoder
        contents = self.model.model.query_position_embeddings.weight[: references.shape[1]]
        hidden = contents.expand(len(image.cells), -1, -1)
        previous = torch.logit(references, eps=_LOGIT_EPS)
        for index, layer in enumerate(decoder.layers):
            hidden = self._decoder_layer(layer, hidden, image, text, references)
            normed = decoder.layer_norm(hidden)
            boxes = (box_deltas(self.model.bbox_embed[index], normed) + previous).sigmoid()
            yield Answer(self._logits(self.model.class_embed[index], normed, text), boxes)
            refined = box_deltas(self.model.bbox_embed[index], hidden) + torch.logit(references, eps=_LOGIT_EPS)
            previous = torch.logit(refined.sigmoid(), eps=_LOGIT_EPS)
            references = refined.sigmoid().detach()

    def answer(self, image: Image, text: Text, references: Tensor | None = None) -> Answer:
        """What the last decoder layer says of these pictures and prompts.

        Args:
            image: of B pictures.
            text: of their prompts.
            references: (1 or B, Q, 4) cxcywh in [0, 1], where the decoder begins; None: at the proposals.
        """
        if image.cells.is_cuda:
            kernel_on(image.cells.device)  # tried before anything is compiled
        return self._run(image, text, references)

    def _answer(self, image: Image, text: Text, references: Tensor | None) -> Answer:
        encoded, words = self.encode(image, text)
        if references is None:
            references = self.proposals(encoded, words).box_logits.detach().sigmoid()
        references = references.expand(len(encoded.cells), -1, -1)
        *_, last = self.decode(encoded, words, references)
        return last

    def _logits(self, embed: Any, image: Tensor, text: Text) -> Tensor:
        """In full precision whatever the rest runs in: a score's last digits decide between two boxes."""
        with torch.autocast(image.device.type, enabled=False):
            logits = contrast(embed, image.float(), text.features.float())
        if self.switches.true_text_length:
            return logits
        return F.pad(logits, (0, self.model.config.max_text_len - logits.shape[-1]), value=-torch.inf)

    def _grid(self, shapes: Shapes, device: torch.device) -> Grid:
        if (shapes, device) not in self._grids:
            self._grids[shapes, device] = grid_of(shapes, device)
        return self._grids[shapes, device]

    def _sines_of(self, maps: Sequence[Tensor], shapes: Shapes) -> list[Tensor]:
        """Where the cells of each level lie, (1, H * W, D); kept for the last size, which the next picture mostly has.

        Args:
            maps: (B, D, H, W) for each level.
            shapes: of the maps.
        """
        key = shapes, maps[0].device, maps[0].dtype
        if self._sines is None or self._sines[0] != key:
            place = self.model.model.backbone.position_embedding
            alone = (torch.ones(1, *shape, dtype=torch.bool, device=key[1]) for shape in shapes)
            sines = [place(level, mask).to(key[2]).flatten(2).mT for level, mask in zip(maps, alone, strict=True)]
            self._sines = key, sines
        return self._sines[1]

    def _encoder_layer(self, layer: Any, image: Image, text: Text) -> tuple[Tensor, Tensor]:
        cells, words = self.switches.fuse(layer.fusion_layer, image.cells, text.features, text.seen)
        enhancer = layer.text_enhancer_layer
        placed = words + text.position
        words = enhancer.layer_norm_before(words + attend(enhancer.self_attn, placed, placed, words, text.blocks))
        words = enhancer.layer_norm_after(words + self.switches.feed_forward(enhancer, enhancer.activation, words))
        deformable = layer.deformable_layer
        centres = image.grid.centres[:, :, None].expand(-1, -1, len(image.grid.shapes), -1)
        moved = deformable_attention(
            deformable.self_attn, cells + image.position, cells, centres, image.grid.shapes, self.switches.sampler
        )
        cells = deformable.self_attn_layer_norm(cells + moved)
        fed = self.switches.feed_forward(deformable, deformable.activation_fn, cells)
        cells = deformable.final_layer_norm(cells + fed)
        return cells, words

    def _decoder_layer(self, layer: Any, hidden: Tensor, image: Image, text: Text, references: Tensor) -> Tensor:
        sine = hf.encode_sinusoidal_position_embedding(references, num_pos_feats=self.model.config.d_model // 2)
        position = self.model.model.decoder.reference_points_head(sine)
        placed = hidden + position
        hidden = layer.self_attn_layer_norm(hidden + attend(layer.self_attn, placed, placed, hidden))
        hidden = layer.encoder_attn_text_layer_norm(
            hidden + attend(layer.encoder_attn_text, hidden + position, text.features, text.features, text.seen)
        )
        seen = deformable_attention(
            layer.encoder_attn,
            hidden + position,
            image.cells,
            references[:, :, None],
            image.grid.shapes,
            self.switches.sampler,
        )
        hidden = layer.encoder_attn_layer_norm(hidden + seen)
        fed = self.switches.feed_forward(layer, layer.activation_fn, hidden)
        result: Tensor = layer.final_layer_norm(hidden + fed)
        return result


def contrast(embed: Any, image: Tensor, text: Tensor) -> Tensor:
    """(B, N, T) logits of N cells or queries for T tokens: MM-Grounding-DINO scales and shifts them."""
    logits: Tensor = image @ text.mT
    bias = getattr(embed, "bias", None)
    return logits if bias is None else logits / math.sqrt(image.shape[-1]) + bias


def box_deltas(head: Any, hidden: Tensor) -> Tensor:
    """In full precision whatever the rest runs in: bf16 would move a box by up to a pixel."""
    with torch.autocast(hidden.device.type, enabled=False):
        deltas: Tensor = head(hidden.float())
    return deltas
