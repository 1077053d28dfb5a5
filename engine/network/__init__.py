"""A faster forward pass over transformers' own grounding detectors: their weights, their mathematics."""
