"""A mark for tests that draw scenes."""

import pytest

from training.worlds.sprites import FONT_FILES

needs_font = pytest.mark.skipif(
    not any(path.is_file() for path in FONT_FILES),
    reason="Noto Color Emoji is not installed (Debian: apt-get install fonts-noto-color-emoji)",
)
