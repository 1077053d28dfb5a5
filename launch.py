#!/usr/bin/env python3
"""The one door to Groundwork: sets up the environment on first use, then runs one command.

Only the standard library is imported up here, so that `--help` answers at once and the first use
needs nothing but Python and pip.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from app import environment
from common.arguments import fraction, natural, port, positive

ROOT = Path(__file__).resolve().parent
FAILED = 1  # 0: done; argparse itself exits with 2 on wrong usage


def main(argv: list[str]) -> int:
    """Run one command; an error a person can act on becomes one line on standard error."""
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv = ["serve", *argv]
    arguments, unknown = parser().parse_known_args(argv)
    if arguments.command == "test":
        arguments.pytest = unknown
    elif unknown:
        parser().error(f"unrecognized arguments: {' '.join(unknown)}")
    requirements = "requirements-dev.txt" if arguments.command == "test" else "requirements.txt"
    try:
        environment.enter(ROOT / requirements, [str(ROOT / "launch.py"), *argv])
        command: Callable[[argparse.Namespace], int] = arguments.function
        return command(arguments)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        return FAILED
    except Exception as error:
        return report(error)


def report(error: Exception) -> int:
    """One line for what we foresaw, the traceback in a log file for what we did not."""
    from app.failures import explain

    print(explain(error), file=sys.stderr)
    return FAILED


def serve(arguments: argparse.Namespace) -> int:
    """Open the page."""
    from app.commands.serve import run

    return run(arguments)


def test(arguments: argparse.Namespace) -> int:
    """Run the whole suite, browser tests included; further arguments go to pytest."""
    from app.commands.test import run

    return run(arguments)


def detect(arguments: argparse.Namespace) -> int:
    """Find in image files what a prompt names."""
    from app.commands.detect import run

    return run(arguments)


def import_(arguments: argparse.Namespace) -> int:
    """Bring images, and labels if there are any, into a dataset."""
    from app.commands.transfer import run_import

    return run_import(arguments)


def label(arguments: argparse.Namespace) -> int:
    """Detect on all images of a dataset and keep the predictions for review."""
    from app.commands.label import run

    return run(arguments)


def accept(arguments: argparse.Namespace) -> int:
    """Turn pending predictions into annotations."""
    from app.commands.label import run_accept

    return run_accept(arguments)


def train(arguments: argparse.Namespace) -> int:
    """Teach the detector from the annotations of a dataset."""
    if arguments.check:
        from app.commands.check import run
    else:
        from app.commands.train import run

    return run(arguments)


def preview(arguments: argparse.Namespace) -> int:
    """Draw the samples that a training run would learn from."""
    from app.commands.preview import run

    return run(arguments)


def evaluate(arguments: argparse.Namespace) -> int:
    """Score a detector against the annotations of a dataset."""
    from app.commands.evaluate import run

    return run(arguments)


def export(arguments: argparse.Namespace) -> int:
    """Write a dataset to a folder."""
    from app.commands.transfer import run_export

    return run_export(arguments)


def models(arguments: argparse.Namespace) -> int:
    """List, fetch, promote or roll back detectors."""
    from app.commands.models import run

    return run(arguments)


def scenes(arguments: argparse.Namespace) -> int:
    """Render scenes with exact boxes, as a COCO dataset, with captions if asked for (needs a colour emoji font)."""
    from app.commands.scenes import run

    return run(arguments)


def bench(arguments: argparse.Namespace) -> int:
    """Measure on this machine what docs/benchmarks.md claims."""
    from app.commands.bench import run

    return run(arguments)


def parser() -> argparse.ArgumentParser:
    """The commands and flags; their names are a contract with scripts."""
    top = argparse.ArgumentParser(
        prog="launch.py",
        description="Type what you see, correct what it finds, teach the same detector, export the dataset.",
        epilog="Without a command the page opens: `launch.py --port 8000` means `launch.py serve --port 8000`.",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(function: Callable[[argparse.Namespace], int], *options: Callable[[argparse.ArgumentParser], None]) -> None:
        name = function.__name__.rstrip("_")
        text = (function.__doc__ or "").strip()
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        for option in options:
            option(sub)

    add(serve, _serve_options, _workspace, _detector, _segmenter)
    add(test)
    add(detect, _detect_options, _task, _tiles, _workspace, _detector, _segmenter, _json)
    add(import_, _import_options, _workspace, _json)
    add(label, _label_options, _task, _tiles, _dataset, _workspace, _detector, _segmenter, _json)
    add(accept, _accept_options, _dataset, _workspace, _json)
    add(train, _train_options, _settings, _dataset, _workspace, _detector, _json)
    add(preview, _preview_options, _settings, _dataset, _workspace, _detector, _json)
    add(evaluate, _evaluate_options, _task, _workspace, _detector, _json)
    add(export, _export_options, _dataset, _workspace, _json)
    add(models, _models_options, _workspace, _json)
    add(scenes, _scenes_options, _json)
    add(bench, _bench_options, _tiles, _json)
    return top


def _workspace(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--workspace", type=Path, metavar="DIR", help="default: $GROUNDWORK_WORKSPACE or ~/.groundwork")
    sub.add_argument("--database", metavar="URL", help="sqlite:///FILE; default: groundwork.db in the workspace")


def _detector(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--detector", default="auto", metavar="NAME", help="a checkpoint, hub id or folder (auto)")


def _segmenter(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--segmenter",
        default="starter",
        metavar="NAME",
        help="starter, grabcut, a fetched SAM, a .pth file or a folder",
    )


def _json(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--json", action="store_true", help="print one JSON document on standard output")


def _tiles(sub: argparse.ArgumentParser) -> None:
    what = "find small things on large pictures, in tiles with a side of PX (the longest the detector reads)"
    sub.add_argument("--tiles", type=_tile_side, nargs="?", const=0, metavar="PX", help=what)


def _tile_side(text: str) -> int:
    if not text.lstrip("-").isdecimal():  # `--tiles a.jpg`: taken for its side
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number; images come before --tiles")
    return positive(text)


def _dataset(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--dataset", required=True, metavar="NAME", help="as `import` named it")


def _serve_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine alone)")
    sub.add_argument("--port", type=port, default=7860, help="0: any that is free (7860)")
    sub.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    sub.add_argument("--auth", metavar="USER:PASSWORD", help="ask for these on every request")


def _task(sub: argparse.ArgumentParser) -> None:
    what = "all of each name (detect), all that each phrase of a sentence may be (ground), the one thing meant (refer)"
    sub.add_argument("--task", choices=("detect", "ground", "refer"), default="detect", help=f"{what}; detect")


def _detect_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="files to look at")
    sub.add_argument("--prompt", required=True, help='such as "cat. remote control."')
    sub.add_argument("--threshold", type=fraction, default=0.3, help="least score of what is shown (0.3)")
    sub.add_argument("--masks", action="store_true", help="a mask for each box")
    sub.add_argument("--output", type=Path, metavar="DIR", help="write pictures with the boxes drawn in")


def _import_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("path", type=Path, metavar="PATH", help="a folder of images, with labels or without, or a file")
    sub.add_argument("--dataset", required=True, metavar="NAME", help="made where there is none of that name")
    formats = ("auto", "images", "coco", "yolo", "voc", "odvg", "lvis", "labelstudio", "labelme")
    what = "how labels are written (auto: as they look); lvis, labelstudio and labelme are not written yet"
    sub.add_argument("--format", choices=formats, default="auto", help=what)
    sub.add_argument("--images", type=Path, metavar="DIR", help="where the images are, when not beside the labels")
    what = "of every image, known ones too; of labels with lists of splits: that list alone"
    sub.add_argument("--split", choices=("train", "val", "test"), help=what)


def _label_options(sub: argparse.ArgumentParser) -> None:
    prompt = sub.add_mutually_exclusive_group()
    prompt.add_argument("--prompt", metavar="TEXT", help="what to find; without it the dataset's categories")
    prompt.add_argument("--ontology", type=Path, metavar="FILE.yaml", help="category names, each with its phrases")
    sub.add_argument("--masks", action="store_true", help="a mask for each box")
    sub.add_argument(
        "--batch", type=positive, metavar="N", help="images looked at together: 1 on a CPU, 8 on a GPU if not given"
    )
    sub.add_argument(
        "--consensus", metavar="NAME", help="a second detector: what one of the two alone sees is marked for review"
    )
    sub.add_argument("--again", action="store_true", help="also images that were asked this very question before")
    sub.add_argument("--runner", choices=("local", "ray"), default="local", help="ray is not written yet (local)")


def _accept_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--threshold", type=fraction, default=0.5, help="least score of what is accepted (0.5)")


def _settings(sub: argparse.ArgumentParser) -> None:
    what = "learn these and keep the rest (vocabulary), these alone count (closed), some held out (open); vocabulary"
    sub.add_argument("--mode", choices=("vocabulary", "closed", "open"), default=None, help=what)
    sub.add_argument("--steps", type=positive, metavar="N", help="as many as suit machine and images if not given")
    sub.add_argument("--config", type=Path, metavar="FILE.yaml", help="settings, a line each: docs/training.md has all")
    what = "one setting, as in learning_rate=0.0002; stronger than the file, may be repeated"
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help=what)


def _train_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--check", action="store_true", help="name every problem of the dataset and end")
    sub.add_argument("--name", help="of the checkpoint; default: the dataset's name and a number")
    sub.add_argument("--resume", metavar="RUN", help="go on with a run that was stopped or killed")
    sub.add_argument("--run", metavar="RUN", help=argparse.SUPPRESS)  # the page names the run before it starts


def _preview_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new folder")
    sub.add_argument("--count", type=positive, default=12, metavar="N", help="of samples (12)")


def _evaluate_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--dataset", metavar="NAME", help="of the workspace; or --layout, --annotations and --images")
    sub.add_argument("--split", choices=("train", "val", "test"), help="images to measure on; without it all labelled")
    what = "of the confusion matrix (the suggested ones), or of an answer that may be empty (0.7)"
    sub.add_argument("--threshold", type=fraction, help=what)
    sub.add_argument("--output", type=Path, metavar="DIR", help="write a report with curves and pictures")
    layouts = ("coco", "lvis", "odinw", "flickr", "refcoco", "grefcoco", "d3")
    sub.add_argument("--layout", choices=layouts, help="measure on a public benchmark's files, without importing them")
    sub.add_argument("--annotations", type=Path, metavar="FILE", help="the benchmark's JSON file (odinw: its folder)")
    sub.add_argument("--images", type=Path, metavar="DIR", help="what its file names are relative to")
    sub.add_argument("--parallel", action="store_true", help="of d3: one sentence a forward pass, better and slower")
    sub.add_argument("--thirteen", action="store_true", help="of odinw: only the 13 datasets of GLIP's tables")


def _export_options(sub: argparse.ArgumentParser) -> None:
    formats = ("coco", "yolo", "voc", "odvg", "lvis")
    sub.add_argument("--format", choices=formats, default="coco", help="coco; the others are not written yet")
    sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new folder")
    sub.add_argument("--images", choices=("copy", "link", "none"), default="copy", help="beside the labels (copy)")
    sub.add_argument("--masks", choices=("rle", "polygons"), default="rle", help="how masks are written")
    sub.add_argument("--snapshot", metavar="ID", help="not written yet")


def _models_options(sub: argparse.ArgumentParser) -> None:
    what = "show all, fetch one from the hub, put a taught one (or the starter) to work, or take that back (list)"
    sub.add_argument("action", nargs="?", choices=("list", "pull", "promote", "rollback"), default="list", help=what)
    what = "pull: a short name, see README.md, or a hub id; promote: as `models` lists it"
    sub.add_argument("name", nargs="?", help=what)


def _scenes_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new folder")
    sub.add_argument("--images", type=positive, default=192, metavar="N", help="(192)")
    sub.add_argument("--seed", type=natural, default=7, help="the starter has learned from others (7)")
    sub.add_argument("--captions", action="store_true", help="with captions and referring expressions, as ODVG")


def _bench_options(sub: argparse.ArgumentParser) -> None:
    names = ("training", "ablations", "starter", "starter-tuning", "engine", "tiles", "vocabulary", "precision")
    sub.add_argument("name", nargs="?", choices=names, default="training", metavar="NAME", help=" or ".join(names))
    sub.add_argument(
        "--steps", type=positive, metavar="N", help="of each detector that learns (200; starter-tuning: as train)"
    )
    sub.add_argument("--seed", type=natural, default=0, help="of data, batches, noise and scenes (0)")
    sub.add_argument(
        "--side", type=natural, default=800, metavar="PX", help="picture to measure memory with; 0: do not (800)"
    )
    sub.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", metavar="DIR", help="holds bccd/ and raccoon/"
    )
    sub.add_argument(
        "--seeds", type=positive, metavar="N", help="ablations: runs of each variant (3); starter-tuning: likewise (1)"
    )
    sub.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="of ablations (ablations.jsonl) and starter-tuning (none): runs that are done, and not done again",
    )
    sub.add_argument(
        "--images",
        type=positive,
        metavar="N",
        help="scenes: of starter and precision (1200), of each kind of tiles (12), of vocabulary (100)",
    )
    sub.add_argument(
        "--detector",
        default="starter",
        metavar="NAME",
        help="of starter, starter-tuning, tiles, vocabulary and precision: what is measured (starter)",
    )
    sub.add_argument("--segmenter", default="starter", metavar="NAME", help="starter: what draws the masks (starter)")
    sub.add_argument("--repeats", type=positive, default=3, metavar="N", help="engine: of each time (3)")
    sub.add_argument(
        "--threshold", type=fraction, help="starter: from which score on a box counts as shown (the page's)"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
