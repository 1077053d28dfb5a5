"""Checkpoint folders in transformers' own format, checked before anything in them is trusted."""

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    GroundingDinoForObjectDetection,
    MMGroundingDinoForObjectDetection,
    PreTrainedTokenizerBase,
)

from engine.checkpoint_files import check_detector_folder, write_json
from engine.detector import BatchDetector, Detector
from engine.detectors.omdet_turbo import OmDetTurbo
from engine.detectors.owlv2 import Owlv2
from engine.detectors.phrases import PhraseDetector
from engine.detectors.sam3 import Sam3
from engine.devices import pick_device
from engine.errors import CheckpointRefused, EngineError
from engine.grounding import GroundingDetector
from engine.hub import find_folder
from engine.preprocessing import FILE_NAME, Preprocessing
from engine.pretrained import UNREADABLE, first_line, load_pretrained, quiet_transformers

STARTER = Path(__file__).parent / "weights" / "starter"

_GROUNDING = {
    "grounding-dino": GroundingDinoForObjectDetection,
    "mm-grounding-dino": MMGroundingDinoForObjectDetection,
}
_PHRASES: dict[str, type[Owlv2] | type[OmDetTurbo] | type[Sam3]] = {
    "owlv2": Owlv2,
    "omdet-turbo": OmDetTurbo,
    "sam3": Sam3,
    "sam3_video": Sam3,
}
_HARD_CODED_IDS = {"[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}  # transformers' models split phrases at these


def load_detector(
    source: str | Path,
    *,
    device: str = "auto",
    name: str | None = None,
    allow_download: bool = False,
    keep_mb: int = 0,
) -> BatchDetector:
    """A detector from "starter", a checkpoint folder or a hub id, in float32 whatever its file holds.

    A hub id is looked up in the local cache; the network is used only with `allow_download`.

    Args:
        source: "starter", a folder, or an id such as "iSEE-Laboratory/llmdet_tiny".
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        name: what people call it; the last part of `source` when None.
        allow_download: fetch a hub id that is not in the cache.
        keep_mb: of features that the last pictures and prompts leave behind; 0 for who changes the weights.

    Raises:
        WeightsMissing: the folder, the cached copy or the weights are not there.
        CheckpointRefused: a broken checkpoint, one of an unknown kind, or one that could run code.
        EngineError: this machine has no such device.
    """
    chosen = pick_device(device)
    folder = folder_of(source, allow_download=allow_download)
    called = name or Path(source).name or folder.resolve().name
    model_type = check_detector_folder(folder, (*_GROUNDING, *_PHRASES))["model_type"]
    if model_type in _PHRASES:
        return PhraseDetector(_PHRASES[model_type].from_folder(folder, chosen), name=called, keep_mb=keep_mb)
    return _grounding_detector(model_type, folder, called, chosen, keep_mb)


def load_grounding_detector(
    source: str | Path, *, device: str = "auto", name: str | None = None, keep_mb: int = 0
) -> GroundingDetector:
    """As `load_detector`, for who looks into its network or teaches it: of the one kind that can be taught.

    No parameter requires a gradient; `training.parameters.choose_trainable` says which do.

    Raises:
        EngineError: it is of another kind; else as `load_detector`.
    """
    chosen = pick_device(device)
    folder = folder_of(source)
    called = name or Path(source).name or folder.resolve().name
    model_type = check_detector_folder(folder, (*_GROUNDING, *_PHRASES))["model_type"]
    if model_type in _PHRASES:
        raise _unteachable(called, f"a model of type {model_type!r}")
    return _grounding_detector(model_type, folder, called, chosen, keep_mb)


def as_teachable(detector: Detector) -> GroundingDetector:
    """The detector itself, where it is of the one kind that can be taught.

    Raises:
        EngineError: it is of another.
    """
    if not isinstance(detector, GroundingDetector):
        raise _unteachable(detector.name, "of another kind")
    return detector


def _unteachable(name: str, kind: str) -> EngineError:
    return EngineError(
        f"Detector {name!r} is {kind}, which finds things but cannot be taught. "
        "Teach the starter, a Grounding DINO, an MM-Grounding-DINO or an LLMDet."
    )


def _grounding_detector(
    model_type: str, folder: Path, name: str, device: torch.device, keep_mb: int
) -> GroundingDetector:
    """From a folder that was checked."""
    model = load_pretrained(_GROUNDING[model_type], folder).requires_grad_(False)
    tokenizer = _load_tokenizer(folder, int(model.config.text_config.vocab_size))
    preprocessing = Preprocessing.from_folder(folder)
    return GroundingDetector(model, tokenizer, preprocessing, name=name, device=device, keep_mb=keep_mb)


def folder_of(source: str | Path, *, allow_download: bool = False) -> Path:
    """Where the files of a source are, see `load_detector`.

    Raises:
        WeightsMissing: they are not there.
    """
    return STARTER if source == "starter" else find_folder(source, allow_download=allow_download)


def save_detector(detector: GroundingDetector, folder: Path, *, dtype: torch.dtype | None = None) -> None:
    """Write weights, config, tokenizer and image settings into `folder` so that transformers loads it anywhere.

    The folder is the caller's to publish: `common.publish.published_folder` gives a temporary one.

    Args:
        dtype: of the floating point weights in the file, for example torch.float16; as they are when None.
    """
    weights = _on_cpu(detector.model.state_dict(), dtype)
    with quiet_transformers():
        detector.model.save_pretrained(folder, state_dict=weights)
        detector.tokenizer.save_pretrained(folder)
    write_json(folder / FILE_NAME, detector.preprocessing.to_json())


def _on_cpu(weights: Mapping[str, torch.Tensor], dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
    """The weights on the CPU, converted once each: heads that are one tensor under two names stay one."""
    converted: dict[tuple[int, torch.Size], torch.Tensor] = {}
    result = {}
    for key, value in weights.items():
        identity = (value.data_ptr(), value.shape)
        if identity not in converted:
            target = dtype if dtype is not None and value.is_floating_point() else value.dtype
            converted[identity] = value.detach().to("cpu", target)
        result[key] = converted[identity]
    return result


def _load_tokenizer(folder: Path, vocabulary_size: int) -> PreTrainedTokenizerBase:
    """The fast tokenizer, with the ids at which transformers' models split phrases."""
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except UNREADABLE as error:
        raise CheckpointRefused(
            f"The tokenizer in {folder} does not load: {first_line(error)}. Fetch it again."
        ) from error
    if not tokenizer.is_fast:
        raise CheckpointRefused(f"The tokenizer in {folder} is a slow one. Save it with its tokenizer.json.")
    for token, expected in _HARD_CODED_IDS.items():
        found = tokenizer.convert_tokens_to_ids(token)
        if found != expected:
            raise CheckpointRefused(
                f"The tokenizer in {folder} has {token!r} at id {found}, not {expected}, where the model looks for it."
            )
    if len(tokenizer) > vocabulary_size:
        raise CheckpointRefused(
            f"The tokenizer in {folder} has {len(tokenizer)} tokens, the model {vocabulary_size}. They do not match."
        )
    result: PreTrainedTokenizerBase = tokenizer
    return result
