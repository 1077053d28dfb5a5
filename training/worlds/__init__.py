"""Renders labelled scenes of everyday things from an emoji font. Knows no detector and no dataset of the store."""

from training.worlds.coco import write_scenes
from training.worlds.concepts import CONCEPTS, Concept
from training.worlds.scenes import Scene, SceneRules, numbered_scene, render_scene
from training.worlds.sprites import FontMissing

__all__ = [
    "CONCEPTS",
    "Concept",
    "FontMissing",
    "Scene",
    "SceneRules",
    "numbered_scene",
    "render_scene",
    "write_scenes",
]
