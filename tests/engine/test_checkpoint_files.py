from pathlib import Path

from engine.checkpoint_files import fingerprint


def folder(path: Path, **content: bytes) -> Path:
    path.mkdir()
    for name, data in content.items():
        (path / name.replace("_", ".")).write_bytes(data)
    return path


def test_folders_of_equal_content_have_equal_fingerprints_wherever_they_are(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", model_safetensors=b"weights", config_json=b"{}", readme_md=b"one")
    two = folder(tmp_path / "two", config_json=b"{}", model_safetensors=b"weights", readme_md=b"two")
    assert fingerprint(one) == fingerprint(two)


def test_other_weights_settings_or_names_make_another_fingerprint(tmp_path: Path) -> None:
    folders = (
        folder(tmp_path / "a", model_safetensors=b"weights", config_json=b"{}"),
        folder(tmp_path / "b", model_safetensors=b"Weights", config_json=b"{}"),
        folder(tmp_path / "c", model_safetensors=b"weights", config_json=b"[]"),
        folder(tmp_path / "d", other_safetensors=b"weights", config_json=b"{}"),
        folder(tmp_path / "e", model_safetensors=b"weights"),
    )
    assert len({fingerprint(one) for one in folders}) == len(folders)
