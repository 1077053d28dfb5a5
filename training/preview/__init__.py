"""Training samples as the detector gets them, for people to look at; draws and writes, trains nothing."""

from training.preview.drawing import drawn_sheet
from training.preview.page import write_preview
from training.preview.shown import ShownBox, ShownSample, ShownToken, shown_samples

__all__ = ["ShownBox", "ShownSample", "ShownToken", "drawn_sheet", "shown_samples", "write_preview"]
