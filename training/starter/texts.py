"""Captions and expressions about a rendered scene, as training reads them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from annotations.captions import CaptionText
from common.boxes import Boxes
from engine.prompts import encode
from training.captions import boxes_once, phrase_map
from training.targets import Targets


@dataclass(frozen=True)
class WrittenText:
    """A text about one scene.

    Attributes:
        input_ids: (T,) long, with [CLS], [SEP] and a '.'.
        targets: the boxes it means; a box that several phrases mean is one target.
        phrases: (P, T) bool, the tokens of each phrase that means something.
    """

    input_ids: Tensor
    targets: Targets
    phrases: Tensor


def written_text(caption: CaptionText, tokenizer: PreTrainedTokenizerBase, size_hw: tuple[int, int]) -> WrittenText:
    """The text as training reads it."""
    boxes, meanings = boxes_once(caption)
    spans = [span for phrase in caption.phrases for span in phrase.spans]
    prompt = encode(f"{caption.text}.", spans, tokenizer)
    tokens = phrase_map(prompt, [len(phrase.spans) for phrase in caption.phrases])
    positive_map = torch.zeros(len(boxes), len(prompt.input_ids), dtype=torch.bool)
    for row, phrases in enumerate(meanings):
        positive_map[row] = tokens[phrases].any(0)
    return WrittenText(torch.tensor(prompt.input_ids), Targets(normalised(boxes, size_hw), positive_map), tokens)


def normalised(boxes_xyxy: Boxes, size_hw: tuple[int, int]) -> Tensor:
    """(N, 4) cxcywh in [0, 1] of (N, 4) xyxy pixels."""
    height, width = size_hw
    corners = torch.from_numpy(boxes_xyxy).reshape(-1, 4) / torch.tensor([width, height, width, height])
    return torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
