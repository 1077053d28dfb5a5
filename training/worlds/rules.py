"""How scenes are filled."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SceneRules:
    """How a scene is filled; shares are probabilities, sizes are parts of the picture's shorter side."""

    min_objects: int = 1
    max_objects: int = 9
    smallest: float = 0.12  # of a thing: the side of a square that is as large as its box
    largest: float = 0.46
    stretch: tuple[float, float] = (0.85, 1.15)  # of a thing's width; shapes keep within 8 percent
    max_overlap: float = 0.25  # of the smaller of two boxes
    cut_share: float = 0.1  # things that may reach over the picture's edge
    turned_share: float = 0.3  # things turned by up to 25 degrees
    jpeg_share: float = 0.2  # pictures with traces of compression
    backdrop_share: float = 0.12  # pictures with plain shapes behind the things, or with checks or cells
    clutter_share: float = 0.4  # pictures with strokes, blots and shreds behind the things, none of them nameable
    light_share: float = 0.4  # pictures with other brightness or an uneven light, things with a light of their own
    shadow_share: float = 0.35  # pictures whose things cast a soft shadow
    surface_share: float = 0.2  # things with a grain on them
    clad_share: float = 0.0  # emoji of fur, cloth or bark: no plain areas
    bent_share: float = 0.0  # emoji whose parts are moved against each other
    soft_share: float = 0.0  # things with a soft edge
    thicket_share: float = 0.0  # pictures with leaves, twigs or gravel of all sizes behind the things
    developed_share: float = 0.0  # backgrounds pale, hard and sharp as photos are, and all where no name has a colour
    blur_share: float = 0.25  # pictures out of focus, shaken or too small
    noise_share: float = 0.35  # pictures with a sensor's noise


CROWDED_RULES = SceneRules(min_objects=10, max_objects=24, smallest=0.07, largest=0.19)
"""Many small things."""

PHOTO_RULES = SceneRules(clad_share=0.2, bent_share=0.2, soft_share=0.2, thicket_share=0.2, developed_share=0.35)
"""Pictures that have more of what photos have, to learn from; scenes to measure by stay as they always were."""
