"""The page's templates and loaders: constants only, so that no name can become a script."""

import re

import pytest

from app.page import HEAD, STYLES, TABS, WEB, build_page


def _html_blocks() -> list[dict[str, object]]:
    blocks = build_page().get_config_file()["components"]
    return [block["props"] for block in blocks if block["type"] == "html"]


def test_there_is_a_tab_for_each_step_of_the_loop() -> None:
    assert [tab.label for tab in TABS] == ["Label", "Teach", "Models", "Export", "Data"]
    assert len(_html_blocks()) == len(TABS) + 1  # the head


def test_no_template_holds_anything_that_is_evaluated() -> None:
    for block in _html_blocks():
        template = str(block["html_template"])
        # Gradio runs a template as Handlebars and then as a JavaScript template literal.
        assert not re.search(r"\$\{|\{\{|`|\\", template)
        assert not block.get("value")


def test_no_event_goes_through_gradio() -> None:
    assert build_page().get_config_file()["dependencies"] == []


@pytest.mark.parametrize("name", [*(tab.module for tab in TABS), "tabs/header.mjs", "tabs/theme.mjs", *STYLES])
def test_every_file_the_page_loads_is_there(name: str) -> None:
    assert (WEB / name).is_file()


def test_every_module_a_tab_loads_can_be_mounted() -> None:
    for module in [*(tab.module for tab in TABS), "tabs/header.mjs"]:
        assert "export function mount(" in (WEB / module).read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere() -> None:
    sources = [HEAD, *(path.read_text(encoding="utf-8") for path in WEB.rglob("*") if path.suffix in (".mjs", ".css"))]
    for source in sources:
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\s\"'`)]+", source)


def test_no_script_writes_markup() -> None:
    for path in WEB.rglob("*.mjs"):
        source = path.read_text(encoding="utf-8")
        for forbidden in (
            r"\.innerHTML\s*=[^=]",
            "insertAdjacentHTML",
            "outerHTML",
            "document\\.write",
            r"\beval\(",
            "new Function",
        ):
            assert not re.search(forbidden, source), f"{path.name}: {forbidden}"
