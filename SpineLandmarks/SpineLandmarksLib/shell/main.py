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

_BATCH_EPILOG = """examples:
  spine-landmarks batch /archive -o /results
  spine-landmarks batch s3://bucket/films -o s3://bucket/results --scheduler tcp://head:8786
  spine-landmarks batch /archive -o /results --retry-failed --keep-ids PatientID StudyDate

Killed at any moment and started again, it goes on. Films of an unchanged file are not done twice.
exit code: 0 all films done, 1 some film failed or was refused, 2 wrong usage, 130 stopped by Ctrl-C
Not a medical device: a reader checks every result."""


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return int(text)


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
    batch = commands.add_parser(
        "batch", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=_BATCH_EPILOG,
        help="detect on a whole archive, on all cores or a cluster",
        description="Detect on every film below a directory or URL. Writes the same tables as detect, as CSV and\n"
                    "Parquet, a summary.html, and a picture and a .mrk.json for each film.",
    )
    batch.add_argument("source", metavar="DIR", help="directory, or fsspec URL such as s3://bucket/films")
    batch.add_argument("-o", "--output", required=True, metavar="OUT", help="output folder or URL; goes on where an earlier run has stopped")
    batch.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    batch.add_argument("--weights", type=Path, metavar="FOLDER", help="weights of your own training, with their manifest.json")
    batch.add_argument("--workers", type=_count, metavar="N", help="processes (default: one a core; on a GPU four at most)")
    batch.add_argument("--scheduler", metavar="ADDRESS", help="address of a Dask scheduler: work on its cluster instead")
    batch.add_argument("--retry-failed", action="store_true", help="also do again what failed or was refused")
    batch.add_argument("--keep-ids", nargs="+", default=[], metavar="FIELD", help="write these DICOM fields (PatientID, StudyDate, ...) to ids.csv")
    batch.add_argument("--no-pictures", action="store_true", help="write no annotated pictures, which take most of the space")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code (argparse leaves with 2 on wrong usage)."""
    arguments = _parser().parse_args(argv)
    from .detect import UsageError, detect

    try:
        if arguments.command == "batch":
            from .batch import batch

            return batch(
                arguments.source, arguments.output, arguments.device, arguments.weights, arguments.workers, arguments.scheduler,
                arguments.retry_failed, tuple(arguments.keep_ids), not arguments.no_pictures,
            )
        return detect(arguments.films, arguments.output, arguments.device, arguments.json, arguments.weights)
    except UsageError as error:
        print(f"spine-landmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("spine-landmarks: stopped; films done so far are in the tables.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
