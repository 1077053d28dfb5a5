"""Trains the starter detector from nothing on rendered scenes. Knows no store and no page.

Paper: MM-Grounding-DINO (Zhao et al., arXiv:2401.02361), made small: 4.5 million parameters.
Data: `training.worlds`, 542 concepts, coloured and textured shapes, captions and expressions, rendered while training;
    pictures of up to 448 px. Compositions of `training.worlds.held_out` are never shown.
Stages: A, every cell in the middle of a thing answers for it, without encoder and decoder; B, the whole model with the
    loss of `training.criterion` and those of `training.starter.naming`. At the export scores are moved so that the best
    threshold is 0.4.
Command: `python -m training.starter WORK`, then `python -m training.starter WORK --export engine/weights/starter`
    (Debian: fonts-noto-color-emoji). A training that was stopped is taken up by the same command; `torchrun` trains in
    several processes, `--device cuda --workers 10` on a GPU (never tried there).
Hardware and time: 2 cores of a CPU: 30 minutes for 10,000 steps of A on one of them, 9 hours for 21,000 of B by two
    processes at 1.6 s (the shipped weights had less of that, most of it on smaller pictures, see below).
Score: AP50 0.876 with every box counted, AP 0.592, on 1,200 held-out scenes with prompts of 16 names; the right thing
    for 0.83 of 400 expressions; measured by `python launch.py bench starter`. docs/log.md tells how it was reached,
    with settings that changed on the way: more texts before the end, a frozen stem and queries that know their size at
    it. The defaults here are otherwise those of its end, and were not run from the start.
"""
