"""Brings images and labels of other tools in. Knows files and the store, no model and no page."""

from annotations.importers.doors import FORMATS, Format, import_path
from annotations.importers.report import Duplicate, ImportReport
from annotations.skipped import Skipped

__all__ = ["FORMATS", "Duplicate", "Format", "ImportReport", "Skipped", "import_path"]
