"""What a network of phrases reads: CLIP's tokens, and pictures as its own image processor makes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import CLIPTokenizer, PreTrainedTokenizerBase

from engine.errors import CheckpointRefused
from engine.preprocessing import Picture
from engine.pretrained import UNREADABLE, first_line, quiet_transformers

_MAX_SIDE = 4096  # pixels; the largest of any published checkpoint is 1,008


class ClipTexts:
    """Phrases as rows of tokens, each padded to what the text encoder reads.

    Attributes:
        tokenizer: the network's own, fast.
        max_tokens: of a row, begin and end included.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens

    def tokens(self, text: str) -> int:
        """How many a text takes, begin and end included."""
        with quiet_transformers():  # it warns of texts that are too long, which is what is asked here
            return len(self.tokenizer(text)["input_ids"])

    def encode(self, texts: Sequence[str], device: torch.device) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask` (P, T) of texts that are not too long."""
        rows = self.tokenizer(list(texts), padding="max_length", max_length=self.max_tokens, return_tensors="pt")
        return {key: rows[key].to(device) for key in ("input_ids", "attention_mask")}


def load_clip_texts(folder: Path, text_config: Any) -> ClipTexts:
    """The fast CLIP tokenizer of a folder that `engine.checkpoint_files` has checked.

    Raises:
        CheckpointRefused: it does not load, or does not fit the text encoder.
    """
    try:
        with quiet_transformers():
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except UNREADABLE as error:
        raise CheckpointRefused(
            f"The tokenizer in {folder} does not load: {first_line(error)}. Fetch it again."
        ) from error
    size = int(text_config.vocab_size)
    if len(tokenizer) > size:
        raise CheckpointRefused(
            f"The tokenizer in {folder} has {len(tokenizer)} tokens, the model {size}. They do not match."
        )
    if tokenizer.pad_token_id is None or tokenizer.eos_token_id != len(tokenizer) - 1:
        raise CheckpointRefused(
            f"The tokenizer in {folder} ends texts with token {tokenizer.eos_token_id}, not with its last, "
            f"{len(tokenizer) - 1}, where the model looks for the end. Fetch it again."
        )
    return ClipTexts(tokenizer, int(text_config.max_position_embeddings))


def load_images(processor_class: Any, folder: Path, side: int | None = None, **settings: bool) -> Any:
    """The image processor of a folder, which makes all pictures one size.

    Args:
        processor_class: of transformers.
        folder: that `engine.checkpoint_files` has checked.
        side: pixels of the square that the network's positions are for; None where it takes any size.
        settings: that must be so, whatever the folder says.

    Raises:
        CheckpointRefused: it does not load, or makes pictures that the network does not take.
    """
    try:
        with quiet_transformers():
            processor = processor_class.from_pretrained(folder, local_files_only=True, do_resize=True, **settings)
        height, width = int(processor.size["height"]), int(processor.size["width"])
        if not (0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE) or side not in (None, height) or height != width:
            wanted = f"{side}, for which its network is made" if side else f"a square of at most {_MAX_SIDE}"
            raise CheckpointRefused(f"{folder} makes pictures of {width} x {height} pixels, not {wanted}. Correct it.")
        pixel_values(processor, [np.zeros((2, 3, 3), np.uint8)])
    except UNREADABLE as error:
        raise CheckpointRefused(
            f"The image settings in {folder} cannot be used: {first_line(error)}. Fetch them again."
        ) from error
    return processor


def pixel_values(processor: Any, images: Sequence[Picture]) -> torch.Tensor:
    """Pictures (H, W, 3) uint8 RGB as (B, 3, side, side) float32."""
    with quiet_transformers():
        values: torch.Tensor = processor(
            images=list(images), return_tensors="pt", input_data_format="channels_last"
        ).pixel_values
    return values
