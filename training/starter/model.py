"""The starter's network: a small MM-Grounding-DINO in transformers' own classes."""

from math import cos, exp, log, pi
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, MMGroundingDinoConfig, MMGroundingDinoForObjectDetection, ResNetConfig
from transformers.models.mm_grounding_dino.modeling_mm_grounding_dino import (
    MMGroundingDinoFrozenBatchNorm2d,
    encode_sinusoidal_position_embedding,
)

_FUSION_START = 1e-3  # layer scale of the fusion at the identity start
_BUMP_REACH = 0.06  # half width of a bump, part of the picture's side
_ATTRACTION = 3.0  # scale of queries and keys at the start
_WORD_STD = 0.18  # of a word's embedding at the start, which gives it the norm that those of trained words have
_CONTENT_STD = 0.1  # of the queries' own contents at the start
_OUTSIDE = 4096.0  # boxes away: a place outside of every picture, where there is nothing but 0
_PLACE_SIDES = (0.1, 0.2, 0.35)  # of the boxes that the place of a query is read from at the start
_PLACE_GRID = 24  # such boxes in a row
_UNSAID = -1.0  # log odds of the place outside against all others, in the middle of the picture
_SAID = 3.0  # standard deviation of the place that is written, of contents whose norm is about 11


def starter_config(vocabulary: int, *, width: int = 128, queries: int = 100) -> MMGroundingDinoConfig:
    """5 million parameters: a ResNet, levels of strides 8 to 64, 2 encoder and 3 decoder layers, a 2-layer BERT.

    Args:
        vocabulary: number of tokens.
        width: channels of the transformer; tests take a smaller one.
        queries: boxes that can be found in one picture.
    """
    backbone = ResNetConfig(
        embedding_size=width // 4,
        hidden_sizes=[width // 4, width // 2, width * 5 // 4, width * 2],
        depths=[1, 4, 2, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    text = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=width * 4,
        max_position_embeddings=256,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return MMGroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        d_model=width,
        encoder_layers=2,
        decoder_layers=3,
        encoder_ffn_dim=width * 3,
        decoder_ffn_dim=width * 3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        num_queries=queries,
        num_feature_levels=4,
        dropout=0.0,
        attention_dropout=0.0,
        fusion_dropout=0.0,
        fusion_droppath=0.0,
        text_enhancer_dropout=0.0,
        decoder_bbox_embed_share=False,
        decoder_cls_embed_share=False,
    )


def build_starter(config: MMGroundingDinoConfig, seed: int = 0) -> Any:
    """A random starter that can be trained from nothing, in training mode.

    transformers freezes a ResNet whole and gives it batch norms without statistics; both would keep it from learning.
    BERT's words start so small that rare ones stay alike: "leftmost" and "rightmost" were the same to a starter once.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MMGroundingDinoForObjectDetection(config)
        model.requires_grad_(True)
        backbone = model.model.backbone
        thaw_batch_norm(backbone)
        for module in backbone.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(model.model.text_backbone.embeddings.word_embeddings.weight, std=_WORD_STD)
    return model.train()


def thaw_batch_norm(module: nn.Module) -> None:
    """Replace frozen batch norms by ones that learn and gather statistics, in place."""
    for name, child in module.named_children():
        if isinstance(child, MMGroundingDinoFrozenBatchNorm2d):
            norm = nn.BatchNorm2d(len(child.weight), momentum=0.05)
            norm.load_state_dict(child.state_dict(), strict=False)
            setattr(module, name, norm)
        else:
            thaw_batch_norm(child)


def freeze_batch_norm(module: nn.Module) -> None:
    """Put the statistics and weights of batch norms back into frozen ones, in place, as transformers loads them."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = MMGroundingDinoFrozenBatchNorm2d(child.num_features)
            state = child.state_dict()
            frozen.load_state_dict({key: state[key] for key in ("weight", "bias", "running_mean", "running_var")})
            setattr(module, name, frozen)
        else:
            freeze_batch_norm(child)


@torch.no_grad()
def start_encoder_as_identity(model: Any) -> None:
    """Let every branch of the encoder add nothing at first, so that the heads find what they learned without it."""
    for layer in model.model.encoder.layers:
        deformable, text = layer.deformable_layer, layer.text_enhancer_layer
        for last in (deformable.self_attn.output_proj, deformable.fc2, text.self_attn.out_proj, text.fc2):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        layer.fusion_layer.vision_param.fill_(_FUSION_START)
        layer.fusion_layer.text_param.fill_(_FUSION_START)


@torch.no_grad()
def let_queries_see_neighbours(model: Any, seed: int = 0) -> None:
    """Start the decoder's self-attention as a look at the queries whose boxes lie nearby.

    transformers starts the place of a query at zero, and its sines turn once over the whole picture, so that queries
    learn very slowly who their neighbours are; until then they cannot agree on which of them answers for a thing, and
    each thing keeps several boxes. Here the first layer of `reference_points_head` holds bumps over x and over y,
    relu(cos(2 pi (x - c)) - cos(2 pi r)), and queries and keys share one rotation, so that equal places attract.
    """
    decoder, width = model.model.decoder, model.config.d_model
    generator = torch.Generator().manual_seed(seed)
    first, second = decoder.reference_points_head.layers
    coordinate = first.in_features // 4  # the sines of y, x, w, h, in this order
    bumps = width // 2
    centres = torch.arange(bumps) / bumps * 2 * pi
    reach = cos(2 * pi * _BUMP_REACH)
    nn.init.zeros_(first.weight)
    for place in range(2):
        rows = slice(place * bumps, (place + 1) * bumps)
        first.weight[rows, place * coordinate] = centres.sin() / (1 - reach)
        first.weight[rows, place * coordinate + 1] = centres.cos() / (1 - reach)
    first.bias.fill_(-reach / (1 - reach))
    second.weight.copy_(torch.eye(width))
    for layer in decoder.layers:
        rotation = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q * _ATTRACTION
        for linear in (layer.self_attn.query, layer.self_attn.key):
            linear.weight.copy_(rotation)
            nn.init.zeros_(linear.bias)
    contents = torch.randn(model.config.num_queries, width, generator=generator) * _CONTENT_STD
    model.model.query_position_embeddings.weight.copy_(contents)


@torch.no_grad()
def let_queries_know_their_place(model: Any, seed: int = 0) -> None:
    """Start each decoder layer so that it writes into a query's contents where in the picture the query lies.

    In this architecture places decide what attention looks at, but they are no part of what it takes from there, so
    that little could tell "the left cat" from the right one but the picture's edge, as far as the backbone feels it.
    Here two heads of each look at the cells have one point far outside of the picture, where all values are 0: the
    farther right (or down) a query lies, the more of its weight goes there, and the less is left of a constant in the
    head's values. Queries can then hold their own place against those of others and against the words.
    """
    generator = torch.Generator().manual_seed(seed)
    decoder, width = model.model.decoder, model.config.d_model
    for layer in decoder.layers:
        attention = layer.encoder_attn
        for axis in range(2):
            reading = _reading_of_places(decoder.reference_points_head, width, axis)
            _write_in_head(attention, attention.n_heads - 1 - axis, *reading, generator)


def _write_in_head(attention: Any, head: int, weight: Tensor, bias: float, generator: torch.Generator) -> None:
    """Let a head of a look at the cells write what `weight` (D,) and `bias` read of a query, from -1 to 1."""
    size, points = attention.d_model // attention.n_heads, attention.n_levels * attention.n_points
    row, own = (head + 1) * points - 1, slice(head * size, (head + 1) * size)
    attention.attention_weights.weight[row] = weight
    attention.attention_weights.bias[row] = bias + _UNSAID + log(points - 1)
    attention.sampling_offsets.weight[2 * row : 2 * row + 2] = 0
    attention.sampling_offsets.bias[2 * row : 2 * row + 2] = _OUTSIDE
    constant = torch.randn(size, generator=generator)
    reach = attention.output_proj.weight[:, own] @ constant
    left = 1 / (1 + exp(_UNSAID))  # of the head's weight, in the middle of the picture
    by_place = left * (1 - left) / 3**0.5  # its standard deviation, for places from -1 to 1
    scale = float(_SAID / by_place / reach.norm())
    attention.value_proj.bias[own] += scale * constant
    attention.output_proj.bias -= scale * left * reach


def _reading_of_places(head: Any, width: int, axis: int) -> tuple[Tensor, float]:
    """Weights (D,) and a bias that read x or y, from -1 to 1, of a query's position among contents that are noise.

    Args:
        head: the decoder's `reference_points_head`.
        width: D.
        axis: 0 for x, 1 for y.
    """
    line = (torch.arange(_PLACE_GRID) + 0.5) / _PLACE_GRID
    x, y, side = torch.meshgrid(line, line, torch.tensor(_PLACE_SIDES), indexing="ij")
    boxes = torch.stack([x, y, side, side], -1).reshape(1, -1, 4)
    places = head(encode_sinusoidal_position_embedding(boxes, num_pos_feats=width // 2))[0]  # (N, D)
    wanted, centred = boxes[0, :, axis] * 2 - 1, places - places.mean(0)
    moment = centred.T @ wanted / len(wanted)  # (D,)
    weight = torch.linalg.solve(centred.T @ centred / len(wanted) + torch.eye(width), moment)
    weight *= wanted.var() / (weight @ moment)  # so that it reads 1 where 1 is wanted
    return weight, -float(places.mean(0) @ weight)
