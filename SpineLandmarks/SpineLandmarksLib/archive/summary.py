"""One static HTML page on an archive: counts, distributions, refused films with thumbnails."""

from __future__ import annotations

import base64
import html
from collections import Counter, defaultdict
from collections.abc import Iterable

from ..core.measurements import MEASUREMENTS
from .store import Store

#: Parameters whose distribution is shown, and the films shown in each list: a page must stay small.
_SHOWN = ("LL_L1_S1", "LL_L1_L5", "SS", "LDI", "TLK_T11_L2", "TK_T4_T12")
_MOST_REFUSED, _MOST_ERRORS = 200, 500
_BINS = 24

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;color:#222;background:#fff}
h1,h2{font-weight:600}table{border-collapse:collapse}td,th{padding:.25em .9em .25em 0;text-align:left;vertical-align:top}
.films{display:flex;flex-wrap:wrap;gap:1em}.films figure{margin:0;width:11em;font-size:12px;overflow-wrap:anywhere}
.films img{height:160px;max-width:11em;object-fit:contain;background:#000}.plots{display:flex;flex-wrap:wrap;gap:2em}
small{color:#777}"""


def page(out: Store, films: Iterable[dict], title: str) -> str:
    """The page's text; goes through the films once and keeps only numbers of them."""
    statuses: Counter = Counter()
    values: dict[str, list[float]] = defaultdict(list)
    missing: Counter = Counter()
    levels: Counter = Counter()
    messages: Counter = Counter()
    refused, errors = [], []
    for film in films:
        statuses[film["status"]] += 1
        if film["status"] != "ok":
            messages[film["films"]["message"]] += 1
            target, most = (refused, _MOST_REFUSED) if film["status"] == "refused" else (errors, _MOST_ERRORS)
            if len(target) < most:
                target.append((film["film"], film["films"]["message"]))
            continue
        levels.update({row["level"] for row in film["landmarks"]})
        for row in film["measurements"]:
            if row["measurement"] in _SHOWN:
                if row["value"] is None:
                    missing[row["measurement"]] += 1
                else:
                    values[row["measurement"]].append(row["value"])
    parts = [f"<h1>{html.escape(title)}</h1><p>{sum(statuses.values())} films: "
             + ", ".join(f"{count} {status}" for status, count in statuses.most_common()) + "</p>"]
    if messages:
        parts.append("<h2>Why films were not measured</h2><table>" + "".join(
            f"<tr><td>{count}</td><td>{html.escape(message)}</td></tr>" for message, count in messages.most_common(20)) + "</table>")
    if levels:
        parts.append("<h2>Levels found</h2><p>" + ", ".join(f"{level} {count}" for level, count in sorted(levels.items(), key=_cranial_first)) + "</p>")
    names = {d.id: (d.name, d.unit_text, d.normal) for d in MEASUREMENTS}
    if values:
        parts.append("<h2>Distributions</h2><div class=plots>" + "".join(
            _histogram(*names[id], values[id], missing[id]) for id in _SHOWN if values[id]) + "</div>")
    if refused:
        figures = "".join(_figure(out, *film) for film in refused)
        parts.append(f"<h2>Refused films</h2><div class=films>{figures}</div>" + _rest(statuses["refused"], len(refused)))
    if errors:
        lines = "".join(f"<tr><td>{html.escape(film)}</td><td>{html.escape(message)}</td></tr>" for film, message in errors)
        parts.append(f"<h2>Files that could not be read</h2><table>{lines}</table>" + _rest(statuses["error"], len(errors)))
    parts.append("<p><small>SpineLandmarks: not a medical device; a reader checks every result.</small></p>")
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>{''.join(parts)}</html>\n"


def _cranial_first(item: tuple[str, int]) -> int:
    from ..core.anatomy import LEVELS

    return LEVELS.index(item[0])


def _rest(count: int, shown: int) -> str:
    return f"<p>and {count - shown} more, see films.csv</p>" if count > shown else ""


def _figure(out: Store, film: str, message: str) -> str:
    picture = f"refused/{film}.jpg"
    image = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(out.read(picture)).decode()}">' if out.exists(picture) else ""
    return f"<figure>{image}<figcaption>{html.escape(film)}<br><small>{html.escape(message)}</small></figcaption></figure>"


def _histogram(name: str, unit: str, normal: tuple[float, float] | None, values: list[float], missing: int) -> str:
    """Bars over the range that holds nearly all values, the usual range of adults shaded."""
    values = sorted(values)
    n = len(values)
    low, high = values[n // 100], values[-1 - n // 100]
    if high <= low:
        low, high = low - 1, high + 1
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, max(0, int((value - low) / (high - low) * _BINS)))] += 1
    w, h = 264, 110
    bars = "".join(
        f'<rect x="{k * w / _BINS + 0.5:.1f}" y="{h - tall:.1f}" width="{w / _BINS - 1:.1f}" height="{tall:.1f}" fill="#3c78d8"/>'
        for k, tall in enumerate(c / max(counts) * h for c in counts) if tall
    )
    shade = ""
    if normal is not None:
        a, b = (min(max((edge - low) / (high - low), 0), 1) * w for edge in normal)
        shade = f'<rect x="{a:.1f}" y="0" width="{b - a:.1f}" height="{h}" fill="#2e8b57" opacity="0.15"/>'
    quartiles = [values[int(q * (n - 1))] for q in (0.25, 0.5, 0.75)]
    return (
        f'<div><b>{html.escape(name.split(",")[0])}</b><br><svg width="{w}" height="{h + 18}" role="img">{shade}{bars}'
        f'<text x="0" y="{h + 14}" font-size="11">{low:.0f}{unit}</text>'
        f'<text x="{w}" y="{h + 14}" font-size="11" text-anchor="end">{high:.0f}{unit}</text></svg>'
        f"<br><small>median {quartiles[1]:.1f}{unit}, middle half {quartiles[0]:.1f} to {quartiles[2]:.1f}{unit}; "
        f"n {n}, not measurable {missing}</small></div>"
    )
