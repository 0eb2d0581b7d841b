"""One HTML page of a comparison that opens offline: tables, pictures and configuration in a single file."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from afsim.errors import AfsimError
from afsim.report import columns, footnotes, table
from afsim.rows import Row, as_json, number

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light; --ink: #1d2329; --soft: #5c6670; --line: #dfe3e7; --tint: #f5f7f8 }}
* {{ box-sizing: border-box }}
body {{ margin: 0 auto; max-width: 1200px; padding: 1.5rem 1rem 3rem; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, sans-serif }}
h1 {{ font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem }}
h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem }}
.lead, .notes, figcaption, dd {{ color: var(--soft) }}
.lead {{ margin: 0 }}
.pictures {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)) }}
figure {{ margin: 0 }}
img {{ display: block; width: 100%; height: auto }}
.wide {{ overflow-x: auto; border-block: 1px solid var(--line) }}
table {{ border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .5rem; text-align: right; white-space: nowrap }}
thead th {{ white-space: normal; vertical-align: bottom; cursor: help; border-bottom: 1px solid var(--soft) }}
th:first-child {{ position: sticky; left: 0; background: #fff; text-align: left }}
tbody + tbody {{ border-top: 1px solid var(--line) }}
tbody tr:hover > * {{ background: var(--tint) }}
dt {{ font-weight: 600 }}
dd {{ margin: 0 0 .35rem }}
pre {{ overflow-x: auto; padding: .75rem; background: var(--tint); font-size: .8rem }}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="lead">{lead}</p>
<section class="pictures">
{pictures}
</section>
<h2>All policies and budgets</h2>
<div class="wide" role="region" aria-label="All policies and budgets" tabindex="0">
<table>
{table}
</table>
</div>
{notes}
<details>
<summary>What the columns mean</summary>
<dl>
{legend}
</dl>
</details>
<h2>How this was made</h2>
<pre>{config}</pre>
</body>
</html>
"""
_MEDIA_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def _lead(rows: Sequence[Row]) -> str:
    policies = len({row["policy"] for row in rows})
    counts = {
        name: int(max(number(row, name) for row in rows)) for name in ("stacks", "scenes", "episodes", "labelled")
    }
    return (
        f"Policies: {policies}. Stacks: {counts['stacks']}, of scenes: {counts['scenes']}. "
        f"Episodes per row: {counts['episodes']}, with a label: {counts['labelled']}."
    )


def _figure(caption: str, path: Path) -> str:
    """Embed a picture as a data URI: unlike a pasted ``<svg>``, two of them cannot share an id by accident."""
    media_type = _MEDIA_TYPES.get(path.suffix)
    if media_type is None:
        raise AfsimError(f"picture {caption!r}: expected one of {', '.join(_MEDIA_TYPES)}, got {path}")
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    text = escape(caption)
    image = f'<img alt="{text}" src="data:{media_type};base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def _html_table(rows: Sequence[Row], lines: Sequence[Sequence[str]]) -> str:
    """Make the table's head and one body per run of rows of a policy."""
    heads = (f'<th scope="col" title="{escape(c.meaning)}">{escape(c.header)}</th>' for c in columns(rows))
    parts = [f"<thead><tr>{''.join(heads)}</tr></thead>"]
    for _, own in groupby(lines, key=lambda line: line[0]):
        body = (
            f'<tr><th scope="row">{escape(line[0])}</th>{"".join(f"<td>{escape(c)}</td>" for c in line[1:])}</tr>'
            for line in own
        )
        parts.append("<tbody>\n" + "\n".join(body) + "\n</tbody>")
    return "\n".join(parts)


def write_html(
    path: str | Path,
    *,
    title: str,
    rows: Sequence[Row],
    notes: Sequence[str],
    config: Mapping[str, object],
    pictures: Mapping[str, Path],
) -> None:
    """Write the comparison as one page that needs nothing else: no script, no network, no second file.

    Parameters
    ----------
    path : str or Path
        The file to write.
    title : str
        The page's title.
    rows : sequence of mapping
        The comparison; all budgets are shown.
    notes : sequence of str
        What is withheld and why.
    config : mapping
        Plain JSON values; shown last, so it should end with the command and the versions.
    pictures : mapping of str to Path
        SVG or PNG files by caption; their content is copied into the page.

    Raises
    ------
    AfsimError
        For no rows, a row that lacks a field, a picture of another format, or a config that is not JSON.
    """
    if not rows:
        raise AfsimError("nothing to report: the comparison has no rows")
    _, *lines = table(rows)
    notes_html = "".join(f'<p class="notes">{escape(note)}</p>' for note in footnotes(lines, notes))
    page = _PAGE.format(
        title=escape(title),
        lead=_lead(rows),
        pictures="\n".join(_figure(caption, Path(picture)) for caption, picture in pictures.items()),
        table=_html_table(rows, lines),
        notes=notes_html,
        legend="\n".join(f"<dt>{escape(c.header)}</dt><dd>{escape(c.meaning)}</dd>" for c in columns(rows)),
        config=escape(as_json(config)),
    )
    Path(path).write_text(page, encoding="utf-8", newline="\n")
