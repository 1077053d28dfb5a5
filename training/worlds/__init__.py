"""Renders labelled scenes of everyday things from an emoji font. Knows no detector and no dataset of the store."""

from training.worlds.coco import write_scenes
from training.worlds.concepts import CONCEPTS, THINGS, Concept
from training.worlds.odvg import write_captioned_scenes
from training.worlds.relations import CaptionedScene, TextRules, captioned_scene, numbered_relation_scene
from training.worlds.scenes import Scene, SceneRules, numbered_scene, render_scene
from training.worlds.sprites import FontMissing

__all__ = [
    "CONCEPTS",
    "THINGS",
    "CaptionedScene",
    "Concept",
    "FontMissing",
    "Scene",
    "SceneRules",
    "TextRules",
    "captioned_scene",
    "numbered_relation_scene",
    "numbered_scene",
    "render_scene",
    "write_captioned_scenes",
    "write_scenes",
]
