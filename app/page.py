"""The page: a head, and a tab for each step of the loop. Layout only; every tab's script talks to the JSON routes.

Each tab is one `gr.HTML` with a constant template. No event goes through Gradio's queue, and no text of a user
or a file ever passes a template: a template is evaluated as a script, so names would run as code.
"""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

WEB = Path(__file__).resolve().parent / "web"


@dataclass(frozen=True)
class Tab:
    """One tab: its label, and the module in app/web that fills it."""

    label: str
    module: str

    @property
    def id(self) -> str:
        """A name for styles and tests."""
        return self.label.lower()


TABS = (
    Tab("Label", "main.mjs"),
    Tab("Teach", "tabs/teach.mjs"),
    Tab("Models", "tabs/models.mjs"),
    Tab("Export", "tabs/export.mjs"),
    Tab("Data", "tabs/data.mjs"),
)

STYLES = ("tokens.css", "stage.css", "tabs/tabs.css")

HEAD = "".join(f'<link rel="stylesheet" href="web/{name}">' for name in STYLES) + (
    '<link rel="icon" href="web/tabs/icon.svg" type="image/svg+xml">'
    '<script type="module" src="web/tabs/theme.mjs"></script>'
)


def build_page() -> gr.Blocks:
    """The Gradio blocks of the whole page."""
    with gr.Blocks(title="Groundwork", analytics_enabled=False, fill_width=True, fill_height=True) as blocks:
        _hosted("gw-head", '<header class="gt-head"></header>', "tabs/header.mjs")
        with gr.Tabs(elem_id="gw-tabs"):
            for tab in TABS:
                with gr.Tab(tab.label, id=tab.id):
                    _hosted(f"gw-{tab.id}", _template(tab), tab.module)
    blocks.queue(api_open=False)
    return blocks


def _template(tab: Tab) -> str:
    if tab.id == "label":
        return (WEB / "stage.html").read_text(encoding="utf-8")
    return f'<section class="gt-page" aria-label="{tab.label}"></section>'


def _hosted(element_id: str, template: str, module: str) -> gr.HTML:
    """An HTML block filled by a module of ours, which is given the template's first element."""
    return gr.HTML(
        html_template=template,
        js_on_load=_loader(module),
        elem_id=element_id,
        container=False,
        padding=False,
        apply_default_css=False,
    )


def _loader(module: str) -> str:
    """Load the module and mount it once; say so in place when that fails."""
    return (
        "const host = element.querySelector(':scope > *') ?? element;"
        f"import(new URL('web/{module}', document.baseURI).href)"
        ".then((module) => module.mount(host))"
        ".catch((error) => { host.textContent = 'This part of the page did not load: ' + error.message; });"
    )
