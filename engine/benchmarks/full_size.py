"""A detector of the published size with random weights, for times that do not depend on what it knows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import MMGroundingDinoConfig, MMGroundingDinoForObjectDetection, PreTrainedTokenizerBase

from engine.pretrained import quiet_transformers

_STD = 0.02  # of what transformers starts at zero, so that every part of the network matters
_LAYER_SCALE = 0.1  # of the fusion, which transformers starts at a thousandth of that
_NAME_TOKENS = (0.35, 0.45, 0.2)  # shares of names of one, two and three tokens, about as LVIS has them


def full_size_model(seed: int = 0) -> Any:
    """MM-Grounding-DINO with Swin-T and BERT base, 173 million random parameters, in eval mode."""
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(seed)
        model = MMGroundingDinoForObjectDetection(MMGroundingDinoConfig())
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(("vision_param", "text_param")):
                    parameter.fill_(_LAYER_SCALE)
                elif not parameter.any():
                    parameter.normal_(std=_STD)
    return model.eval()


def names(tokenizer: PreTrainedTokenizerBase, count: int, seed: int = 0) -> list[str]:
    """So many different names of words that the tokenizer reads in one piece each."""
    return names_of(sorted(word for word in tokenizer.get_vocab() if word.isalpha() and len(word) > 2), count, seed)


def names_of(words: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """So many different names, each of one to three of the words."""
    rng = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        length = int(rng.choice(len(_NAME_TOKENS), p=_NAME_TOKENS)) + 1
        found[" ".join(rng.choice(words, length, replace=False))] = None
    return list(found)
