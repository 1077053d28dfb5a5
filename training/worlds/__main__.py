"""Command line: `python -m training.worlds OUTPUT --images 192 --seed 7` renders a COCO dataset of scenes."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training.worlds.coco import write_scenes


def main(arguments: Sequence[str] | None = None) -> int:
    """Render as asked; 0 when done, 1 after a line on stderr that says what stands in the way."""
    parser = argparse.ArgumentParser(prog="python -m training.worlds", description=__doc__)
    parser.add_argument("output", type=Path, help="a folder that does not exist yet")
    parser.add_argument("--images", type=int, default=192, help="how many scenes (default 192)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same scenes (default 7)")
    parser.add_argument("--longest", type=int, default=480, help="longer side of the largest picture in pixels")
    parser.add_argument("--masks", action="store_true", help="write the things' visible pixels too")
    options = parser.parse_args(arguments)
    try:
        boxes = write_scenes(
            options.output, options.images, options.seed, longest_px=options.longest, masks=options.masks
        )
    except Exception as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Wrote {options.images} scenes with {boxes} boxes to {options.output}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
