"""Elements of HTML and SVG as text, in which names and file names can do nothing."""

from html import escape
from typing import NewType

Markup = NewType("Markup", str)
"""Text that is markup already; everything else is escaped on its way in."""

_VOID = frozenset({"meta", "img", "br"})


def element(tag: str, attributes: dict[str, object] | None = None, *children: Markup) -> Markup:
    """`<tag name="value">children</tag>`; values are escaped, and those that are None are left out."""
    named = "".join(
        f' {name}="{escape(str(value))}"' for name, value in (attributes or {}).items() if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{named}>")
    return Markup(f"<{tag}{named}>{''.join(children)}</{tag}>")


def text(value: object) -> Markup:
    """A value as it is read, never as markup."""
    return Markup(escape(str(value)))


def score(value: float | None) -> Markup:
    """A score with three decimals; a dash where there is nothing to measure."""
    return Markup("–" if value is None else f"{value:.3f}")  # noqa: RUF001 - the dash of the page
