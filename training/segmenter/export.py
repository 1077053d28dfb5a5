"""A trained segmenter as a checkpoint folder that plain transformers loads."""

import copy
import json
from pathlib import Path
from typing import Any

from training.starter.batches import MEAN, STD


def export(model: Any, folder: Path) -> None:
    """Write config.json, model.safetensors in half precision and preprocessor_config.json for `SamProcessor`.

    Args:
        model: as `build_segmenter` made it; it is left as it is.
        folder: an existing folder.
    """
    half = copy.deepcopy(model).eval().half()
    half.save_pretrained(folder)
    text = json.dumps(_preprocessing(model.config), indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")


def _preprocessing(config: Any) -> dict[str, Any]:
    side = config.vision_config.image_size
    cells = 4 * side // config.vision_config.patch_size
    return {
        "image_processor_type": "SamImageProcessor",
        "processor_class": "SamProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"longest_edge": side},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(STD),
        "do_pad": True,
        "pad_size": {"height": side, "width": side},
        "mask_size": {"longest_edge": cells},
        "mask_pad_size": {"height": cells, "width": cells},
    }
