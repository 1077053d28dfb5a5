"""Low-rank adapters (Hu et al., arXiv:2106.09685) of a detector: by peft, in peft's own file format."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.grounding import GroundingDetector
from training.config import TrainConfig
from training.ema import copy_into
from training.errors import AdapterRefused

# peft takes seconds to import and most runs need none of it: the functions below import it.

FOLDER = "adapter"  # of a checkpoint
HEADS = "heads.safetensors"  # the weights that learnt whole, which peft's file has no place for

_NAME = "default"  # of the one adapter, as peft calls it
_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."  # of every key in peft's files


def add_adapter(model: nn.Module, names: Sequence[str], config: TrainConfig) -> None:
    """Put an adapter of `config.lora_rank` beside each linear layer called in `names`; it changes nothing as yet.

    The same seed draws the same adapter. A model that has one keeps it.
    """
    if has_adapter(model) or not names:
        return
    from peft import LoraConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        alpha: Any = config.lora_alpha  # peft says int and divides all the same
        _inject(model, LoraConfig(r=config.lora_rank, lora_alpha=alpha, target_modules=list(names)))


def has_adapter(model: nn.Module) -> bool:
    """Whether `add_adapter` was here."""
    return any(is_of_adapter(name) for name, _ in model.named_parameters())


def is_of_adapter(name: str) -> bool:
    """Whether a parameter's or module's name is one of an adapter's."""
    return ".lora_" in name


def merge_adapter(model: nn.Module) -> None:
    """Add the adapters to their layers and take them off: a plain model that computes the same, up to rounding."""
    for layer in _layers(model).values():
        layer.merge(safe_merge=True)
    take_off_adapter(model)


def take_off_adapter(model: nn.Module) -> None:
    """Put the layers that it wraps back in place, as they were before `add_adapter`; nothing without an adapter."""
    if not has_adapter(model):
        return
    for name, layer in _layers(model).items():
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, layer.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config


def save_adapter(model: nn.Module, folder: Path, base_source: str, base_sha256: str) -> None:
    """Write the adapter of a taught model, not merged as yet, so that peft itself can load it.

    `heads.safetensors` beside it holds the weights that learnt whole, and whose base they belong to.

    Args:
        folder: is made.
        base_source: where the base detector's weights are, for whoever reads peft's config.
        base_sha256: of the base, `weights_sha256` before it learnt.
    """
    from peft import get_peft_model_state_dict

    folder.mkdir()
    config = _peft_config(model)
    config.base_model_name_or_path = base_source
    config.inference_mode = True
    config.save_pretrained(folder)
    # Else peft asks the hub whether the base's vocabulary grew.
    adapter: Mapping[str, Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    save_file({_PREFIX + name: _plain(value) for name, value in adapter.items()}, folder / _WEIGHTS)
    heads = {name: _plain(value) for name, value in model.named_parameters() if value.requires_grad}
    heads = {name: value for name, value in heads.items() if not is_of_adapter(name)}
    save_file(heads, folder / HEADS, metadata={"base_sha256": base_sha256})


def weights_sha256(model: nn.Module) -> str:
    """One number for all weights and buffers of a model, by name, whatever files they came in; adapters apart."""
    digest = hashlib.sha256()
    own = {n.replace(".base_layer.", "."): value for n, value in model.state_dict().items() if not is_of_adapter(n)}
    for name, value in sorted(own.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        content: Any = _plain(value).reshape(-1).view(torch.uint8).numpy()
        digest.update(content)
    return digest.hexdigest()


@dataclass(frozen=True)
class Adapter:
    """What `attached` put on a detector."""

    model: nn.Module
    base: Mapping[str, Tensor]  # the base's own values of the weights that learnt whole

    @contextmanager
    def off(self) -> Iterator[None]:
        """Within the block the detector is its base again, bit for bit. Not while another thread detects."""
        taught = _swapped(self.model, self.base)
        _switch(self.model, on=False)
        try:
            yield
        finally:
            _switch(self.model, on=True)
            _swapped(self.model, taught)


@contextmanager
def attached(detector: GroundingDetector, folder: Path) -> Iterator[Adapter]:
    """Within the block a base detector computes with an adapter; afterwards it is as it was, bit for bit.

    Args:
        detector: the base, without an adapter. No other thread may use it when the block begins or ends.
        folder: of a checkpoint that was taught with `lora_rank`.

    Raises:
        AdapterRefused: there is no adapter, or it belongs to another base.
    """
    adapter, heads = _read(folder, detector)
    from peft import LoraConfig, set_peft_model_state_dict

    model = detector.model
    _inject(model, LoraConfig.from_pretrained(str(folder / FOLDER)))
    base = _swapped(model, heads)
    try:
        set_peft_model_state_dict(model, adapter)
        model.eval()
        yield Adapter(model, base)
    finally:
        _swapped(model, base)
        take_off_adapter(model)


def _read(folder: Path, detector: GroundingDetector) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The adapter's tensors, and those that learnt whole, on the detector's device."""
    place = folder / FOLDER
    if not (place / _WEIGHTS).is_file():
        raise AdapterRefused(f"{str(folder)!r} has no adapter. Only checkpoints that were taught with lora_rank do.")
    try:
        adapter, _ = _tensors(place / _WEIGHTS, detector.device)
        heads, facts = _tensors(place / HEADS, detector.device)
    except (OSError, SafetensorError) as error:
        raise AdapterRefused(f"The adapter in {str(place)!r} can't be read ({error}). Copy it anew.") from error
    own, wanted = weights_sha256(detector.model), str(facts.get("base_sha256"))
    if wanted != own:
        raise AdapterRefused(
            f"The adapter in {str(place)!r} belongs to a base with weights {wanted[:12]}, not to {detector.name!r} "
            f"with {own[:12]}. Load the base that its adapter_config.json names."
        )
    return {name.removeprefix(_PREFIX): value for name, value in adapter.items()}, heads


def _tensors(path: Path, device: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, "pt", device=device) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - no mapping


def _inject(model: nn.Module, config: Any) -> None:
    """peft asks a model for its word embeddings, which transformers' detectors answer with an error."""
    from peft import inject_adapter_in_model

    module: Any = model
    module.get_input_embeddings = module.model.text_backbone.get_input_embeddings
    try:
        inject_adapter_in_model(config, module, _NAME)
    finally:
        del module.get_input_embeddings


def _peft_config(model: nn.Module) -> Any:
    configs: Any = model.peft_config
    return configs[_NAME]


def _layers(model: nn.Module) -> dict[str, Any]:
    """Every layer that wraps a linear one, by name."""
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def _switch(model: nn.Module, *, on: bool) -> None:
    for layer in _layers(model).values():
        layer.enable_adapters(on)


def _swapped(model: nn.Module, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Overwrite these weights; returns what they were."""
    own = dict(model.named_parameters())
    chosen = {name: own[name] for name in values}
    before = {name: value.detach().clone() for name, value in chosen.items()}
    copy_into(chosen, values)
    return before


def _plain(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous()
