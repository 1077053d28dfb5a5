"""Trains the starter segmenter from nothing on rendered pictures. Knows no store and no page."""
