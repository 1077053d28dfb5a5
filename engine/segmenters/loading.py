"""A segmenter by its name, file or folder."""

from pathlib import Path

from engine.segmenters.base import Segmenter
from engine.segmenters.grabcut import GrabCut

DEFAULT = "grabcut"


def load_segmenter(
    name_or_path: str | Path = DEFAULT, device: str = "auto", *, allow_download: bool = False
) -> Segmenter:
    """GrabCut for "grabcut", the original SAM for a .pth file, SAM or SAM 2 for a folder or a hub id.

    Args:
        device: of the learned ones: "auto", "cpu", "cuda", "cuda:N" or "mps".
        allow_download: fetch a hub id that is not in the local cache.

    Raises:
        WeightsMissing: it is not on this machine.
        CheckpointRefused: it is broken, of another kind, or could run code.
        EngineError: this machine has no such device.
    """
    # The learned ones are imported here: they cost seconds that a page with GrabCut need not wait for.
    if str(name_or_path) == DEFAULT:
        return GrabCut()
    path = Path(name_or_path).expanduser()
    if path.suffix in (".pth", ".pt"):
        from engine.segmenters.sam import load_sam

        return load_sam(path, device=device)
    from engine.segmenters.sam_transformers import load_transformers_sam

    return load_transformers_sam(name_or_path, device=device, allow_download=allow_download)
