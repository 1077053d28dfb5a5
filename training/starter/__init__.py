"""Trains the starter detector from nothing on rendered scenes. Knows no store and no page."""
