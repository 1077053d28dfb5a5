"""Trains the starter detector from nothing on rendered scenes. Knows no store and no page.

Paper: MM-Grounding-DINO (Zhao et al., arXiv:2401.02361), made small: 4.5 million parameters.
Data: `training.worlds`, 542 concepts, coloured and textured shapes, captions and expressions, rendered while training;
    pictures of up to 320 px. Compositions of `training.worlds.held_out` are never shown.
Stages: A, every cell in the middle of a thing answers for it, without encoder and decoder; B, the whole model with the
    loss of `training.criterion` and those of `training.starter.naming`.
Command: `python -m training.starter WORK`, then `python -m training.starter WORK --export engine/weights/starter`
    (Debian: fonts-noto-color-emoji). A training that was stopped is taken up by the same command; `torchrun` trains in
    several processes, `--device cuda --workers 10` on a GPU (never tried there).
Hardware and time: one thread of a 2-core CPU that other work shared: 29 minutes for 10,000 steps of A (`--dense-steps
    10000`), 80 for 7,000 of B (`--full-steps 7000`).
Score: AP50 0.660, AP 0.382 on 1,200 held-out scenes with prompts of 16 names, measured by
    `python launch.py bench starter`. docs/log.md tells how it was reached, with settings that changed on the way.
"""
