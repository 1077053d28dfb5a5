"""Images and prompts in, detections out. Knows no database, no page, no training."""
