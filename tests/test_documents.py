"""What the documents claim is so."""

import re
import subprocess
from pathlib import Path

import launch

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tracked() -> list[Path]:
    answer = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(line) for line in answer.stdout.splitlines()]


def test_the_tree_in_the_readme_names_every_folder_and_file_at_the_top() -> None:
    top = {path.parts[0] for path in tracked() if not path.parts[0].startswith(".")}
    tree = README.split("## Layout")[1].split("```")[1]
    shown = {line.split()[0].rstrip("/") for line in tree.splitlines() if line and not line.startswith(" ")}
    files = {name for line in tree.splitlines() for name in re.findall(r"[\w.-]+\.(?:txt|toml|md)\b", line)}
    assert top <= shown | files | {"LICENSE"}
    assert shown <= top


def test_every_command_stands_in_the_readme() -> None:
    commands = re.search(r"\{([^}]*)\}|COMMAND", launch.parser().format_usage())
    assert commands
    names = re.findall(r"^    (\w+) ", launch.parser().format_help(), flags=re.MULTILINE)
    assert names
    missing = [name for name in names if f"launch.py {name}" not in README and name != "serve"]
    assert missing == []


def test_the_readme_uses_only_commands_and_flags_that_exist() -> None:
    for line in re.findall(r"^python3 launch\.py (.+?)(?:\s+#.*)?$", README, flags=re.MULTILINE):
        if not line.strip() or line.split()[0] == "test":
            continue
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
        launch.parser().parse_args(words)  # exits, and so fails, on an unknown command or flag


def test_links_in_documents_lead_somewhere() -> None:
    for document in [path for path in tracked() if path.suffix == ".md"]:
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert ((ROOT / document).parent / target).exists(), f"{document} links to {target}"


def test_every_decision_has_a_number_of_its_own() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers))
    assert all(number.isdigit() for number in numbers)


def test_every_dependency_says_why_it_is_one() -> None:
    wanted = re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    table = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8")
    named = re.findall(r"[\w-]+", " ".join(re.findall(r"^\| ([^|]+) \|", table, flags=re.MULTILINE)))
    assert set(named) - {"package", "---"} == set(wanted)


def test_documents_and_code_speak_of_no_file_that_is_not_here() -> None:
    names = {path.name for path in tracked()}
    ours = [path for path in tracked() if path.suffix in (".py", ".md", ".mjs", ".css", ".html")]
    missing = {
        f"{path}: {name}"
        for path in ours
        for name in re.findall(r"\b[A-Z]{4,}\.md\b", (ROOT / path).read_text(encoding="utf-8"))
        if name not in names
    }
    assert missing == set()
