"""Trains the starter detector from nothing on rendered scenes. Knows no store and no page.

Paper: MM-Grounding-DINO (Zhao et al., arXiv:2401.02361), made small: 3.4 million parameters.
Data: `training.worlds`, 80 concepts, rendered while training; pictures of up to 256 px.
Stages: A, every cell in the middle of a thing answers for it, without encoder and decoder; B, the whole model with the
    loss of `training.criterion`; C, the decoder alone, with queries that see their neighbours.
Command: `python -m training.starter WORK`, then `python -m training.starter WORK --export engine/weights/starter`
    (Debian: fonts-noto-color-emoji). A training that was stopped is taken up by the same command.
Hardware and time: one thread of a 2-core CPU that other work shared, 75 minutes.
Score: AP50 0.890, AP 0.615 on 192 held-out scenes with all 80 names in the prompt, measured by
    `python -m training.starter.measure starter`. docs/log.md tells how it was reached.
"""
