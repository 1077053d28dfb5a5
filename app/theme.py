"""Gradio's own look, made quiet: system fonts (nothing is fetched), no frames of its own, our colours."""

import gradio as gr


def theme() -> gr.Theme:
    """A theme whose colours are the page's tokens, so that light and dark switch in one place."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    base = gr.themes.Base(font=fonts, font_mono=mono)
    return base.set(
        body_background_fill="var(--gw-bg, #f5f6f8)",
        body_background_fill_dark="var(--gw-bg, #14161a)",
        body_text_color="var(--gw-text, #1d2128)",
        body_text_color_dark="var(--gw-text, #e7e9ee)",
    )
