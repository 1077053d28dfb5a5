"""launch.py scenes: rendered pictures whose boxes are known exactly, as a COCO dataset."""

import argparse

from app.commands.terminal import print_document
from training.worlds.coco import write_scenes


def run(arguments: argparse.Namespace) -> int:
    """Render scenes into a folder."""
    boxes = write_scenes(arguments.output, arguments.images, arguments.seed)
    if arguments.json:
        print_document({"folder": str(arguments.output), "images": arguments.images, "annotations": boxes})
    else:
        print(f"{arguments.output}: {arguments.images} scenes with {boxes} boxes; import it as COCO.")
    return 0
