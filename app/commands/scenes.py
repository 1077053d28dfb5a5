"""launch.py scenes: rendered pictures whose boxes are known exactly, as a COCO dataset, with captions if asked for."""

import argparse

from app.commands.terminal import print_document
from training.worlds.coco import write_scenes
from training.worlds.odvg import write_captioned_scenes


def run(arguments: argparse.Namespace) -> int:
    """Render scenes into a folder."""
    document = {"folder": str(arguments.output), "images": arguments.images}
    if arguments.captions:
        written = write_captioned_scenes(arguments.output, arguments.images, arguments.seed)
        document |= {"annotations": written.boxes, "captions": written.captions, "expressions": written.expressions}
        said = (
            f"{written.boxes} boxes, {written.captions} captions and {written.expressions} expressions; "
            "import its annotations.odvg.jsonl for all of them, the folder for the boxes alone"
        )
    else:
        document |= {"annotations": write_scenes(arguments.output, arguments.images, arguments.seed)}
        said = f"{document['annotations']} boxes; import it as COCO"
    if arguments.json:
        print_document(document)
    else:
        print(f"{arguments.output}: {arguments.images} scenes with {said}.")
    return 0
