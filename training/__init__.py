"""Teaches the detector of the engine from annotations. Knows no page."""
