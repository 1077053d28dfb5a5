"""Trains the starter detector from nothing on rendered scenes. Knows no store and no page.

Paper: MM-Grounding-DINO (Zhao et al., arXiv:2401.02361), made small: 5.1 million parameters.
Data: `training.worlds`, 542 concepts, coloured and textured shapes, captions and expressions, rendered while training;
    pictures of up to 384 px. Compositions of `training.worlds.held_out` are never shown.
Stages: A, every cell in the middle of a thing answers for it, without encoder and decoder; B, the whole model with the
    loss of `training.criterion` and those of `training.starter.naming` and `training.starter.sides`, names beside those
    they are mistaken for, and what is known least most often (`lookalikes.tsv`). At the export scores are moved: 0.4
    becomes the threshold with the highest F1 among those that show at most 0.05 boxes in a picture without anything
    that is asked for.
Command: `python -m training.starter WORK`, then `python -m training.starter WORK --export engine/weights/starter`
    (Debian: fonts-noto-color-emoji). A training that was stopped is taken up by the same command. `--weights FOLDER`
    goes on from exported weights by a shorter stage: 1,150 steps, a lower rate, the stem and the first stage of the
    backbone as they are; `--seed` shows it other scenes, and `--keep 0.1` at the export leaves so much of FOLDER in
    what is written. Two processes: `torchrun --nproc_per_node 2 -m training.starter WORK --threads 1`; a GPU:
    `--device cuda --workers 10` (never tried there).
Hardware and time: 2 cores of a CPU: 30 minutes for 10,000 steps of A on one of them, for 21,000 of B by two processes
    9 hours where it multiplies in bf16 (1.6 s a step of 32 scenes, with two levels of features and fewer blocks), more
    than a day where not (4.1 s a step of 20 scenes). The shipped weights had less of that, on smaller pictures first.
Score: AP50 0.933 with every box counted, 0.944 as shown, AP 0.744, on 1,200 held-out scenes with prompts of 16 names
    (0.929, 0.940 and 0.743 as the mean of seeds 0, 1 and 2); the right thing for 0.89 of 400 expressions; measured by
    `python launch.py bench starter`. docs/log.md tells how it was reached, with settings that changed on the way: two
    levels of features at up to 448 px until 18,870 steps before the end, then 20 scenes a step and a lower rate; three
    blocks of stride 8 more for the last 17,750, smaller pictures for 1,050 of them; large things in more than 0.12 of
    the scenes, and names taught as far as boxes fit, for the last 15,500; a level of stride 64 and the IoU's square as
    a target for the last 14,850; cells taught about sides for the last 14,030; sides of whole multiples of 32 px for
    the last 12,880; worlds and losses mended for the last 11,250 and 10,450; what is known least drawn more often for
    the last 8,050; things, backgrounds and development like those of photos for the last 5,650, 5,050 and 4,350, twice
    as often until 3,000 before the end. These 3,000, 1.7 s each in bf16, are `--weights FOLDER --seed 16 --scenes 10
    --full-steps 3000` by two processes, exported with `--keep 0.4`.
    The defaults of A and B were not run from the start.
"""
