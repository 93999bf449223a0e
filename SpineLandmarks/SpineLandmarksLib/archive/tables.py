"""landmarks, measurements and films as CSV and Parquet, made from the parts, one film at a time."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..report import rows
from .parts import Done, read_parts
from .store import Store


def films_of(out: Store, done: dict[str, Done]) -> Iterator[dict]:
    """What is known of every film, each once, in the order of the parts."""
    for part, films in read_parts(out):
        for film in films:
            if done.get(film["film"]) == Done(film["fingerprint"], film["status"], film["when"], part):
                yield film


def write_tables(out: Store, done: dict[str, Done], ids: tuple[str, ...] = ()) -> None:
    """Replace the tables of ``out`` by ones of everything that is done. Parquet comes too where
    pyarrow is installed; ``ids.csv`` only where identifiers were asked for."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, f"{name}.csv") for name in (*rows.TABLES, *(("ids",) if ids else ()))}
        streams = {name: path.open("w", newline="", encoding="utf-8", errors="surrogateescape") for name, path in paths.items()}
        try:
            writers = {name: csv.DictWriter(streams[name], columns) for name, columns in rows.TABLES.items()}
            if ids:
                writers["ids"] = csv.DictWriter(streams["ids"], ("film", *ids), extrasaction="ignore")
            for writer in writers.values():
                writer.writeheader()
            for film in films_of(out, done):
                writers["landmarks"].writerows(film["landmarks"])
                writers["measurements"].writerows(film["measurements"])
                writers["films"].writerow(film["films"])
                if ids:
                    writers["ids"].writerow({"film": film["film"], **film["ids"]})
        finally:
            for stream in streams.values():
                stream.close()
        for name, path in paths.items():
            parquet = _parquet(path)
            if parquet is not None:
                out.put(f"{name}.parquet", parquet)
            out.put(f"{name}.csv", path)


#: Columns that hold text even where all of a table's first values are empty or look like numbers.
_NUMBERS = {"x_px", "y_px", "sd_px", "value", "low90", "high90", "spacing_mm_x", "spacing_mm_y", "seconds"}


def _parquet(path: Path) -> Path | None:
    """The same table as Parquet, block by block."""
    try:
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError:
        return None
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        columns = next(csv.reader(stream))
    schema = pa.schema([(name, pa.float64() if name in _NUMBERS else pa.string()) for name in columns])
    options = pa.csv.ConvertOptions(column_types=schema, strings_can_be_null=True, quoted_strings_can_be_null=True, null_values=[""])
    target = path.with_suffix(".parquet")
    with pa.parquet.ParquetWriter(target, schema, compression="zstd") as writer, pa.csv.open_csv(
        path, parse_options=pa.csv.ParseOptions(newlines_in_values=True), convert_options=options
    ) as reader:
        for batch in reader:
            writer.write_batch(batch)
    return target
