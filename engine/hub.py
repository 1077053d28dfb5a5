"""Where a model that people name lies on this machine; the network is asked only when they allow it."""

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from engine.errors import WeightsMissing

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FILES = ["*.json", "vocab.txt", "merges.txt", "*.safetensors"]  # no pickle is ever fetched


def find_folder(source: str | Path, *, allow_download: bool = False) -> Path:
    """The folder at `source`, or the local copy of that hub id.

    Raises:
        WeightsMissing: neither is here, or the hub does not give it.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if not _HUB_ID.fullmatch(str(source)):
        raise WeightsMissing(f"No checkpoint folder at {path}. Give a folder or a hub id such as owner/name.")
    try:
        return Path(snapshot_download(str(source), allow_patterns=_FILES, local_files_only=not allow_download))
    except LocalEntryNotFoundError as error:
        if allow_download:
            raise WeightsMissing(f"{str(source)!r} could not be fetched. Check the network and try again.") from error
        raise WeightsMissing(
            f"{str(source)!r} is neither a folder nor in the local cache. "
            f"Fetch it with `python3 launch.py models pull {source}`."
        ) from error
    except HFValidationError as error:
        raise WeightsMissing(f"{str(source)!r} is no hub id. Give a folder or an id such as owner/name.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        locked = " Where its authors grant access, log in by `.venv/bin/hf auth login`." if status in (401, 403) else ""
        raise WeightsMissing(f"The hub does not give {str(source)!r} ({status}). Check its name.{locked}") from error
