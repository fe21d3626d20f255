"""Parts of an SVG picture that is legible on a light and on a dark page."""

from xml.sax.saxutils import escape

from ai_base.text.invisible import remove_invisible

STYLE = """
    svg { background: #ffffff; font-family: system-ui, sans-serif; }
    text { fill: #1f2328; }
    .note { fill: #59636e; }
    .grid { stroke: #d1d9e0; }
    .bar, .good { fill: #1a7f37; }
    .bad { fill: #cf222e; }
    path.good { fill: none; stroke: #1a7f37; stroke-width: 3; }
    path.bad { fill: none; stroke: #cf222e; stroke-width: 3; }
    path.cap { fill: none; stroke: #59636e; stroke-width: 2; stroke-dasharray: 6 5; }
    @media (prefers-color-scheme: dark) {
      svg { background: #0d1117; }
      text { fill: #f0f6fc; }
      .note { fill: #9198a1; }
      .grid { stroke: #3d444d; }
      .bar, .good { fill: #3fb950; }
      .bad { fill: #ff7b72; }
      path.good { stroke: #3fb950; }
      path.bad { stroke: #ff7b72; }
      path.cap { stroke: #9198a1; }
    }
"""


def document(width: float, height: float, title: str, parts: list[str]) -> str:
    """Put parts into a document; the title is also what a screen reader says."""
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"  <title>{quoted(title)}</title>",
            f"  <style>{STYLE}  </style>",
            *parts,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, words: str, *, size: int = 14, anchor: str = "start", kind: str = "") -> str:  # noqa: PLR0913
    """Write words; `anchor` is start, middle or end, `kind` a class of `STYLE`."""
    place = f'x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}"'
    return f'  <text {place} class="{kind}">{quoted(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    """Draw a straight line."""
    return f'  <line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{kind}" />'


def rectangle(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Draw a filled rectangle."""
    return f'  <rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" class="{kind}" />'


def quoted(words: str) -> str:
    """Escape a text for a document, and remove invisible characters."""
    return escape(remove_invisible(words))
