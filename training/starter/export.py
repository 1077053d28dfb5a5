"""A trained starter as a checkpoint folder that plain transformers loads."""

import copy
import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from engine.preprocessing import Preprocessing
from training.starter.batches import MEAN, MULTIPLE_OF_PX, STD
from training.starter.model import freeze_batch_norm

WORKING_SIZE = Preprocessing(shortest_edge=288, longest_edge=384, mean=MEAN, std=STD, multiple_of=MULTIPLE_OF_PX)


def export(
    model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, preprocessing: Preprocessing = WORKING_SIZE
) -> None:
    """Write config.json, model.safetensors in half precision, the tokenizer and preprocessor_config.json.

    The statistics of the batch norms go into the frozen ones that transformers builds.

    Args:
        model: as `build_starter` made it; it is left as it is.
        folder: an existing folder.
    """
    frozen = copy.deepcopy(model).eval()
    freeze_batch_norm(frozen)
    frozen.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    text = json.dumps(preprocessing.to_json(), indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")
