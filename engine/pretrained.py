"""transformers' own loading, strict, silent and with one kind of error."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from engine.checkpoint_files import weight_files
from engine.errors import CheckpointRefused

UNREADABLE = (  # what transformers raises on settings and weights that make no sense
    *(SafetensorError, StrictDataclassError, OSError, RuntimeError, ValueError, TypeError),
    *(LookupError, AttributeError, ImportError, ArithmeticError, AssertionError, MemoryError),
)


def load_pretrained(
    model_class: Any, folder: Path, *, config: Any = None, weights: Mapping[str, torch.Tensor] | None = None
) -> PreTrainedModel:
    """The network in `folder` in float32, every weight from its safetensors file; or from `weights`, read there before.

    The folder is one that `engine.checkpoint_files` has checked. transformers would make up weights
    that are missing and only log it; here that is an error.

    Raises:
        CheckpointRefused: the settings or the weights make no network.
    """
    try:
        with quiet_transformers():
            model, report = model_class.from_pretrained(
                folder if weights is None else None,
                config=config,
                state_dict=weights,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
    except UNREADABLE as error:
        raise CheckpointRefused(
            f"The weights in {folder} do not load: {first_line(error)}. Fetch them again."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise CheckpointRefused(
            f"The weights in {folder} lack {len(missing)} tensors, {missing[0]!r} first. Fetch them again."
        )
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise CheckpointRefused(f"The weights in {folder} hold no numbers in {name!r}. Use an earlier checkpoint.")
    result: PreTrainedModel = model
    return result


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors in the safetensors files of a folder that `engine.checkpoint_files` has checked.

    Raises:
        CheckpointRefused: a file is broken.
    """
    try:
        return {name: value for path in weight_files(folder) for name, value in load_file(path).items()}
    except UNREADABLE as error:
        raise CheckpointRefused(
            f"The weights in {folder} do not load: {first_line(error)}. Fetch them again."
        ) from error


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no advice on the console; what goes wrong is raised, never only logged."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """What an error says, on one line of at most 200 characters and without its full stop."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line[:200].rstrip(".: ")
