"""Images and prompts in, detections out. Knows no database, no page, no training.

`engine.checkpoints.load_detector` gives a detector, `engine.ontology.Ontology` says what to look for,
`engine.segmenters.loading.load_segmenter` gives a segmenter, `engine.segmenters.outlines` masks for what was found.
Nothing is imported here: torch and transformers cost seconds that a command without a model need not wait for.
"""
