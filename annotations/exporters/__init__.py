"""Writes datasets in other tools' formats. Knows files and the store, no model and no page."""

from annotations.exporters.coco import export_coco
from annotations.exporters.report import ExportReport

__all__ = ["ExportReport", "export_coco"]
