"""What a checkpoint folder must hold, and what it must not, before a library reads it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.detectors.timm_swin import SWINS, native_config, timm_name
from engine.errors import CheckpointRefused, WeightsMissing

_WEIGHTS = "model.safetensors"
_SHARDS = "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_CONTENT = ("*.json", "*.txt", "*.safetensors")
_MAX_JSON_BYTES = 64 * 1024 * 1024  # a large tokenizer.json is 10 MB

_CODE_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_pipelines"})
_BACKBONES = frozenset({"swin", "resnet", "convnext", "convnextv2", "dinov2", "focalnet", "hiera", "swinv2", "vitdet"})


@dataclass(frozen=True)
class Kind:
    """What a detector of one model type is made of.

    Attributes:
        parts: of the config, a part of a part after a dot, and the model types that may stand there.
        tokenizers: classes that may read its texts.
        language: the tokenizer as people call it.
        vocabulary: files of which one must be there.
        timm: backbones of timm that are read into transformers' own.
    """

    parts: Mapping[str, frozenset[str]]
    tokenizers: frozenset[str]
    language: str
    vocabulary: tuple[str, ...]
    timm: frozenset[str] = frozenset()


_FAST = frozenset({"PreTrainedTokenizerFast", "TokenizersBackend", "PreTrainedTokenizer"})
_BERT = (_FAST | {"BertTokenizer", "BertTokenizerFast"}, "BERT", ("tokenizer.json", "vocab.txt"))
_CLIP = (_FAST | {"CLIPTokenizer", "CLIPTokenizerFast"}, "CLIP", ("tokenizer.json", "vocab.json"))
_CLIP_TEXT = frozenset({"clip_text_model"})
_SAM3 = {"text_config": _CLIP_TEXT, "vision_config.backbone_config": frozenset({"sam3_vit_model"})}

_GROUNDING = Kind({"backbone_config": _BACKBONES, "text_config": frozenset({"bert"})}, *_BERT)
_KINDS = {
    "grounding-dino": _GROUNDING,
    "mm-grounding-dino": _GROUNDING,
    "owlv2": Kind({}, *_CLIP),
    "omdet-turbo": Kind({"backbone_config": _BACKBONES, "text_config": _CLIP_TEXT}, *_CLIP, frozenset(SWINS)),
    "sam3": Kind(_SAM3, *_CLIP),
    "sam3_video": Kind({f"detector_config.{part}": kinds for part, kinds in _SAM3.items()}, *_CLIP),
}


def check_folder(folder: Path, model_types: Sequence[str]) -> dict[str, Any]:
    """Check every file that decides what is loaded and give the config back.

    Refused: a model type not among `model_types`; keys that make transformers import code
    (`auto_map`, `trust_remote_code`, attention implementations by hub id); weights that are only
    there as pickles.

    Raises:
        WeightsMissing: no folder, no config or no weights.
        CheckpointRefused: anything of the above.
    """
    if not (folder / "config.json").is_file():
        raise WeightsMissing(f"No checkpoint at {folder}: config.json is missing. Give a folder that holds one.")
    config = read_json(folder / "config.json")
    _refuse_code(config, folder / "config.json")
    if config.get("model_type") not in model_types:
        raise CheckpointRefused(
            f"{folder} holds a model of type {config.get('model_type')!r}. Use one of {', '.join(model_types)}."
        )
    for name in ("tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            _refuse_code(read_json(folder / name), folder / name)
    _check_weights(folder)
    return config


def check_detector_folder(folder: Path, model_types: Sequence[str]) -> dict[str, Any]:
    """`check_folder`, and that the backbone, text encoder and tokenizer are of known kinds and in the folder."""
    config = check_folder(folder, model_types)
    kind = _KINDS[config["model_type"]]
    _check_parts(config, folder, kind)
    _check_tokenizer(folder, kind)
    return config


def fingerprint(folder: Path) -> str:
    """Equal for folders of equal weights and settings: 64 hexadecimal digits. A second for each gigabyte."""
    digest = hashlib.blake2b(digest_size=32)
    for path in sorted(path for kind in _CONTENT for path in folder.glob(kind)):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, hashlib.blake2b).digest())
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        CheckpointRefused: it is no JSON object, or larger than 64 MB.
    """
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise CheckpointRefused(f"{path} is larger than {_MAX_JSON_BYTES >> 20} MB. Fetch the checkpoint again.")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointRefused(f"{path} is no JSON: {error}. Fetch the checkpoint again.") from error
    if not isinstance(content, dict):
        raise CheckpointRefused(f"{path} holds no settings. Fetch the checkpoint again.")
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object, indented, with a new line at the end."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _refuse_code(settings: dict[str, Any], path: Path) -> None:
    """Refuse keys by which transformers imports code from the folder or the hub."""
    for key, value in _walk(settings):
        named_on_hub = key.endswith("_implementation") and _names_a_repository(value)
        if (key in _CODE_KEYS and value) or key == "_attn_implementation_internal" or named_on_hub:
            raise CheckpointRefused(f"{path} sets {key!r}, which can run code. Use a checkpoint without it.")


def _names_a_repository(value: object) -> bool:
    """Whether an attention or expert implementation is taken from the hub ("owner/kernel") instead of by name."""
    return any(
        "/" in text for text in (value.values() if isinstance(value, dict) else [value]) if isinstance(text, str)
    )


def _walk(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every key of nested settings with its value."""
    pending: list[tuple[str, object]] = [(key, value)]
    while pending:
        key, value = pending.pop()
        yield key, value
        if isinstance(value, dict):
            pending.extend((str(name), item) for name, item in value.items())
        elif isinstance(value, list):
            pending.extend((key, item) for item in value)


def _check_parts(config: dict[str, Any], folder: Path, kind: Kind) -> None:
    """Refuse a detector one of whose parts is of an unknown kind or comes from elsewhere."""
    if kind.timm and (name := timm_name(config)) is not None:
        if str(name) not in kind.timm:
            raise CheckpointRefused(
                f"{folder} has timm's backbone {name!r}. Use one of {', '.join(sorted(kind.timm))}."
            )
        config = native_config(config)
    if config.get("use_timm_backbone") or config.get("use_pretrained_backbone") or config.get("backbone"):
        raise CheckpointRefused(f"{folder} takes its backbone from elsewhere. Use a checkpoint with backbone_config.")
    for part, known in kind.parts.items():
        settings = _part(config, part)
        if settings is not None and str(found := _model_type(settings)) not in known:
            raise CheckpointRefused(f"{folder} has {part} of type {found!r}. Use one of {', '.join(sorted(known))}.")


def _part(config: dict[str, Any], path: str) -> object:
    """The settings of a part, or of a part of a part; what stands in its place; None where nothing does."""
    settings: object = config
    for name in path.split("."):
        if not isinstance(settings, dict):
            break
        settings = settings.get(name)
    return settings


def _model_type(settings: object) -> object:
    """The model type of a part's settings, or what stands there instead of settings."""
    return settings.get("model_type") if isinstance(settings, dict) else settings


def _check_tokenizer(folder: Path, kind: Kind) -> None:
    """Refuse a folder without tokenizer, or with one of an unknown class."""
    if not any((folder / name).is_file() for name in kind.vocabulary):
        raise CheckpointRefused(f"{folder} has no tokenizer.json. Fetch the checkpoint again.")
    path = folder / "tokenizer_config.json"
    found = read_json(path).get("tokenizer_class") if path.is_file() else None
    if found is not None and str(found) not in kind.tokenizers:
        raise CheckpointRefused(f"{path} names the tokenizer {found!r}. Use a checkpoint with a {kind.language} one.")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder that was checked."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    return sorted({folder / name for name in read_json(folder / _SHARDS)["weight_map"].values()})


def _check_weights(folder: Path) -> None:
    """Refuse weights that are absent, incomplete or only there as pickles."""
    if (folder / _WEIGHTS).is_file():
        return
    if (folder / _SHARDS).is_file():
        shards = read_json(folder / _SHARDS).get("weight_map")
        names = set(shards.values()) if isinstance(shards, dict) else {""}
        for name in names:
            if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
                raise CheckpointRefused(f"{folder / _SHARDS} names {name!r}, no file of this folder. Fetch it again.")
            if not (folder / name).is_file():
                raise WeightsMissing(f"{folder} lacks {name}. Fetch the checkpoint again.")
        return
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise CheckpointRefused(
            f"{folder} has its weights only as {pickles[0]}, a pickle, which can run code. Save it as {_WEIGHTS}."
        )
    raise WeightsMissing(f"No weights at {folder}: {_WEIGHTS} is missing. Fetch the checkpoint again.")
