"""Entry point. Imports only what ``--help`` needs; torch comes with the first film."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .. import __version__

_EPILOG = """examples:
  spine-landmarks detect film.dcm -o results
  spine-landmarks detect left.png right.jpg archive/ -o results
  spine-landmarks detect film.png -o results --json > film.json

exit code: 0 all films done, 1 some film failed or was refused, 2 wrong usage
Not a medical device: a reader checks every result."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spine-landmarks", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=_EPILOG,
        description="Vertebral corners and spinal angles from lateral spine radiographs.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    detect = commands.add_parser(
        "detect", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=_EPILOG,
        help="detect corners and measure angles",
        description="Detect corners and measure angles. Writes OUT/landmarks.csv, measurements.csv and films.csv,\n"
                    "and for each film an annotated FILM.png and a FILM.mrk.json for 3D Slicer.",
    )
    detect.add_argument("films", nargs="+", type=Path, metavar="FILM", help="DICOM, PNG, JPEG, TIFF, NRRD or NIfTI file, or a directory of them")
    detect.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="output folder, made when missing")
    detect.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    detect.add_argument("--weights", type=Path, metavar="FOLDER", help="weights of your own training, with their manifest.json (default: those that ship)")
    detect.add_argument("--json", action="store_true", help="also print the results as JSON on standard output")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code (argparse leaves with 2 on wrong usage)."""
    arguments = _parser().parse_args(argv)
    from .detect import UsageError, detect

    try:
        return detect(arguments.films, arguments.output, arguments.device, arguments.json, arguments.weights)
    except UsageError as error:
        print(f"spine-landmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("spine-landmarks: stopped; films done so far are in the tables.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
