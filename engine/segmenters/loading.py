"""A segmenter by its name, file or folder."""

from pathlib import Path

from engine.checkpoint_files import read_json
from engine.segmenters.base import Segmenter
from engine.segmenters.grabcut import GrabCut

GRABCUT = "grabcut"
STARTER = "starter"
STARTER_FOLDER = Path(__file__).parents[1] / "weights" / "segmenter"
DEFAULT = STARTER

_SMALL_INPUT_PX = 384  # below it a SAM looks at the surroundings of each thing instead of at whole pictures


def is_segmenter(folder: Path) -> bool:
    """Whether a checkpoint folder says that it holds a SAM or a SAM 2."""
    from engine.segmenters.sam_transformers import MODELS

    config = folder / "config.json"
    return config.is_file() and read_json(config).get("model_type") in MODELS


def load_segmenter(
    name_or_path: str | Path = DEFAULT, device: str = "auto", *, allow_download: bool = False
) -> Segmenter:
    """GrabCut for "grabcut", the small SAM that comes along for "starter", any SAM or SAM 2 for a folder or a hub id.

    A .pth file is read as an original SAM. One with a small input looks closely, see `CloserLook`.

    Args:
        device: of the learned ones: "auto", "cpu", "cuda", "cuda:N" or "mps".
        allow_download: fetch a hub id that is not in the local cache.

    Raises:
        WeightsMissing: it is not on this machine.
        CheckpointRefused: it is broken, of another kind, or could run code.
        EngineError: this machine has no such device.
    """
    # The learned ones are imported here: they cost seconds that a page with GrabCut need not wait for.
    if str(name_or_path) == GRABCUT:
        return GrabCut()
    path = Path(name_or_path).expanduser()
    if path.suffix in (".pth", ".pt"):
        from engine.segmenters.sam import load_sam

        return load_sam(path, device=device)
    from engine.segmenters.closer import CloserLook
    from engine.segmenters.sam_transformers import load_transformers_sam

    if str(name_or_path) == STARTER:
        sam = load_transformers_sam(STARTER_FOLDER, device=device, name=STARTER)
    else:
        sam = load_transformers_sam(name_or_path, device=device, allow_download=allow_download)
    return CloserLook(sam) if sam.side <= _SMALL_INPUT_PX else sam
