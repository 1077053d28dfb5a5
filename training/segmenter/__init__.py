"""Trains the starter segmenter from nothing on rendered pictures. Knows no store and no page.

Paper: Segment Anything (Kirillov et al., arXiv:2304.02643), made small: 2.2 million parameters, through transformers'
    `SamModel`, for boxes, points or both.
Data: rendered while training: scenes of `training.worlds` and pictures of figures that have no name, with their exact
    masks; pictures of 192 px, then of 288 px, three of four of them the surroundings of one thing.
Lessons: where a box is, without pictures (`places`); masks of small pictures (`COARSE`), then of large ones (`FINE`),
    with a helper that asks the encoder for edges everywhere (`edges`).
Command: `python -m training.segmenter WORK`, then `python -m training.segmenter WORK --export engine/weights/segmenter`
    (Debian: fonts-noto-color-emoji). A training that was stopped is taken up by the same command.
Hardware and time: a part of one thread of a 2-core CPU that other work shared, four hours and a half.
Score: mean IoU from boxes 0.888 on 96 held-out scenes and 0.677 on the photos of COCO128, where GrabCut has 0.743 and
    0.638, by `python -m training.segmenter.measure grabcut starter`, as `engine.segmenters.closer` uses it. docs/log.md
    tells how it was reached.
"""
