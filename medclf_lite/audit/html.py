"""One self-contained HTML page of a report: no script, no font, nothing from a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from medclf_lite.audit.finding import Bar, Example, Finding, visible
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.images import load_pixels
from medclf_lite.images.square import to_square

if TYPE_CHECKING:
    from medclf_lite.audit.report import Report

THUMBNAIL = 112  # pixels a side

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #555d66; --paper: #fff; --box: #f5f6f8;
  --line: #d5d9de; --error: #b3261e; --warning: #8a5a00; --note: #1f5f99; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #a9b1ba; --paper: #16191c;
  --box: #1f2327; --line: #3a4047; --error: #ff8a80; --warning: #ffc35c; --note: #86c2ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 60rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
a { color: inherit; } .soft, figcaption, footer { color: var(--soft); font-size: .875rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; }
td.n, th.n { text-align: right; }
section { background: var(--box); border: 1px solid var(--line); border-left: .35rem solid;
  border-radius: .4rem; padding: 1rem 1.2rem; margin: 1rem 0; }
section.error { border-left-color: var(--error); }
section.warning { border-left-color: var(--warning); }
section.note { border-left-color: var(--note); }
section.accepted { border-left-color: var(--line); }
.accepted .level { color: var(--soft); }
.level { text-transform: uppercase; font-size: .75rem; letter-spacing: .06em; font-weight: 700; }
.error .level { color: var(--error); } .warning .level { color: var(--warning); }
.note .level { color: var(--note); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: .6rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
.examples { display: flex; flex-wrap: wrap; gap: .8rem; margin: .8rem 0 0; padding: 0;
  list-style: none; }
.examples li { max-width: 15.5rem; } .examples figure { margin: 0; }
.examples img { display: inline-block; width: 7rem; height: 7rem;
  margin: 0 .3rem .2rem 0; background: #000; border-radius: .2rem; }
svg { display: block; max-width: 100%; margin: .8rem 0; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg .bar { fill: var(--note); opacity: .75; } svg .line { stroke: var(--ink); stroke-width: 1.5; }
svg .half { stroke: var(--soft); stroke-dasharray: 4 3; }
@media (max-width: 30rem) { body { padding: .8rem; } dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; } }
@media print { body { max-width: none; } section { background: none; }
  h2, dl, svg, figure { break-inside: avoid; } h2 { break-after: avoid; } }
"""
# The page may show the pictures that are inside of it, and ask for nothing else.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def render(report: Report) -> str:
    """Write a report as one HTML page.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        The page. All text is escaped; pictures are inside it, at most 112 pixels a side.
    """
    thumbnails = _thumbnails(report)
    listed = "".join(
        f'<li class="{_style(f)}"><span class="level">{_level(f)}</span> '
        f'<a href="#f{i}">{escape(f.title)}</a></li>'
        for i, f in enumerate(report.findings)
    )
    body = "".join(_section(i, f, thumbnails) for i, f in enumerate(report.findings))
    coverage = "<br>".join(map(escape, report.coverage))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Audit of {escape(report.name)}</title>"
        f"<style>{STYLE}</style></head><body>\n<header><h1>Audit</h1>"
        f"<p>{escape(report.headline)}</p>{_counts(report.cohort)}</header>\n"
        f"<main><ul>{listed or '<li>Nothing was found.</li>'}</ul>\n{body}</main>\n"
        f"<footer><p>{coverage}</p>{_origin(report.cohort)}</footer></body></html>\n"
    )


def _origin(cohort: Cohort | None) -> str:
    if cohort is None:
        return ""
    return (
        f"<p>Licence: {escape(visible(cohort.licence))}. Fingerprint of the table: "
        f"{cohort.fingerprint}.</p>"
    )


def _counts(cohort: Cohort | None) -> str:
    if cohort is None:
        return ""
    rows = "".join(
        f"<tr><th scope='row'>{escape(visible(_name(index)))}</th>"
        f"<td class='n'>{row['images']:,}</td><td class='n'>{row['patients']:,}</td></tr>"
        for index, row in cohort.counts().iterrows()
    )
    return (
        "<table><thead><tr><th>class</th><th class='n'>images</th><th class='n'>patients</th>"
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )


def _name(index: object) -> str:
    return " / ".join(map(str, index)) if isinstance(index, tuple) else str(index)


def _section(i: int, finding: Finding, thumbnails: dict[str, str]) -> str:
    accepted = f"<dt>Acknowledged</dt><dd>{escape(finding.accepted)}</dd>"
    examples = "".join(_example(e, thumbnails) for e in finding.examples)
    return (
        f'<section class="{_style(finding)}" id="f{i}"><div class="level">{_level(finding)}</div>'
        f"<h2>{escape(finding.title)}</h2><dl><dt>Seen</dt><dd>{escape(finding.seen)}</dd>"
        f"<dt>Why it matters</dt><dd>{escape(finding.why)}</dd>"
        f"<dt>What to do</dt><dd>{escape(finding.do)}</dd>"
        f"<dt>Read</dt><dd>{escape(finding.chapter)}</dd>{accepted * bool(finding.accepted)}</dl>"
        + _chart(finding.bars)
        + (f'<ul class="examples">{examples}</ul>' if examples else "")
        + f'<p class="soft">Check {escape(finding.id)}</p></section>\n'
    )


def _level(finding: Finding) -> str:
    return f"{finding.severity}, acknowledged" if finding.accepted else finding.severity


def _style(finding: Finding) -> str:
    return "accepted" if finding.accepted else finding.severity


def _example(example: Example, thumbnails: dict[str, str]) -> str:
    pictures = "".join(
        f'<img alt="Image {escape(visible(i))}" src="{thumbnails[i]}">'
        for i in example.images
        if i in thumbnails
    )
    caption = f"<figcaption>{escape(example.text)}</figcaption>"
    return f"<li><figure>{pictures}{caption}</figure></li>"


def _chart(bars: Sequence[Bar]) -> str:
    """Draw values from 0 to 1 as horizontal bars with their intervals."""
    if not bars:
        return ""
    left, width, step = 190, 380, 24
    height = step * len(bars) + 26

    def x(value: float) -> str:
        return f"{left + width * min(1.0, max(0.0, value)):.1f}"

    parts = []
    for i, bar in enumerate(bars):
        y = step * i + step // 2
        parts.append(
            f'<text x="{left - 8}" y="{y + 5}" text-anchor="end">{escape(visible(bar.name))}'
            f'</text><rect class="bar" x="{left}" y="{y - 7}" height="14" '
            f'width="{float(x(bar.value)) - left:.1f}"/><line class="line" x1="{x(bar.low)}" '
            f'x2="{x(bar.high)}" y1="{y}" y2="{y}"/>'
            f'<text x="{left + width + 10}" y="{y + 5}">{bar.value:.3f}</text>'
        )
    said = ", ".join(f"{b.name} {b.value:.2f}" for b in bars)
    ticks = "".join(
        f'<text x="{x(v)}" y="{height - 6}" text-anchor="middle">{v:g}</text>' for v in (0, 0.5, 1)
    )
    return (
        f'<svg viewBox="0 0 640 {height}" width="640" height="{height}" role="img" '
        f'aria-label="ROC-AUC of each trait alone: {escape(visible(said))}">'
        f'<line class="half" x1="{x(0.5)}" x2="{x(0.5)}" y1="0" y2="{height - 22}"/>'
        f"{''.join(parts)}{ticks}</svg>"
    )


def _thumbnails(report: Report) -> dict[str, str]:
    """Make a small JPEG of each image that an example names and that can be decoded."""
    wanted = {i for f in report.findings for e in f.examples for i in e.images}
    found = {
        i: _as_jpeg(to_square(report.pictures[i], THUMBNAIL))
        for i in sorted(wanted & report.pictures.keys())
    }
    cohort = report.cohort
    if cohort is None or cohort.images is None or not wanted:
        return found
    ids = cohort.table["image_id"].astype(str)
    for row in ids.index[ids.isin(list(wanted - found.keys()))]:
        try:
            (pixels,) = load_pixels(cohort.take([row]), THUMBNAIL)
        except MedclfError:
            continue  # the finding itself says that this file cannot be decoded
        found[ids[row]] = _as_jpeg(pixels)
    return found


def _as_jpeg(pixels: npt.NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=75)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
