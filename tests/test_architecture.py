"""The layout of docs/decisions/0001-packages.md holds: imports point one way, heavy libraries stay in their rooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "common": {"common"},
    "engine": {"engine", "common"},
    "annotations": {"annotations", "common"},
    "training": {"training", "engine", "annotations", "common"},
    "app": {"app", "training", "engine", "annotations", "common"},
}
FOREIGN = {
    "common": {"torch", "transformers", "sqlalchemy", "gradio", "fastapi", "supervision"},
    "engine": {"sqlalchemy", "alembic", "gradio", "fastapi"},
    "annotations": {"torch", "transformers", "gradio", "fastapi", "supervision"},
    "training": {"gradio", "fastapi"},
    "app/services": {"gradio", "fastapi"},
    "app/commands": {"gradio", "fastapi"},
}


def imported_packages(path: Path) -> set[str]:
    """The top-level names of everything a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[package] | {"launch"}
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in imported_packages(path) & forbidden
    }
    assert wrong == set()


@pytest.mark.parametrize("folder", FOREIGN)
def test_libraries_stay_in_their_rooms(folder: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / folder).rglob("*.py")
        for name in imported_packages(path) & FOREIGN[folder]
    }
    assert wrong == set()


def test_help_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys, launch; launch.parser().format_help(); "
        "print([n for n in ('torch', 'gradio', 'numpy', 'sqlalchemy') if n in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_nothing_in_the_repository_reads_pickles() -> None:
    wrong = {
        str(path.relative_to(ROOT))
        for package in MAY_IMPORT
        for path in (ROOT / package).rglob("*.py")
        if imported_packages(path) & {"pickle", "joblib", "dill", "cloudpickle"}
    }
    assert wrong == set()


def test_every_torch_load_says_weights_only() -> None:
    calls = [
        (path, node)
        for package in ("engine", "training")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    for path, call in calls:
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert keywords.get("weights_only") == "True", f"{path}:{call.lineno}"


MODULES_OF = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "huggingface_hub": "huggingface-hub",
    "segment_anything": "segment-anything",
    "faster_coco_eval": "faster-coco-eval",
    "anyio": "starlette",  # starlette's own way to run threads
    "triton": "torch",  # which brings it where it can, and `engine.network.deformable` does without it elsewhere
}


def test_everything_imported_stands_in_the_requirements() -> None:
    """Else a dependency's dependency could take it away."""
    required = {
        line.split("==")[0]
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    imported = {
        name for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py") for name in imported_packages(path)
    }
    foreign = imported - set(sys.stdlib_module_names) - set(MAY_IMPORT)
    assert {MODULES_OF.get(name, name) for name in foreign} <= required
