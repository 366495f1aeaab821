"""A report as PDF, drawn without a browser.

The fonts are the ones that every PDF reader has, so nothing but the library is needed; what they lack, as a
model's Chinese name, is written in Latin letters, and the report says so.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from anyascii import anyascii

from planner.tradeoffs.report.content import Picture, Report, Section, Table

#: Millimetres of an A4 page.
MARGIN, WIDE = 16.0, 178.0
#: What a heading keeps with it.
HEADED = 26.0
ACCENT, MUTED, LINE = (11, 102, 112), (82, 96, 103), (200, 208, 210)
BAND = (222, 233, 234)
#: Letters that the fonts lack, with those that stand for them.
OTHERWISE = {
    "\N{MINUS SIGN}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{SUBSCRIPT TWO}": "2",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{NARROW NO-BREAK SPACE}": " ",
}
#: Said at the end where a name was written otherwise.
OTHER_LETTERS = (
    "Names in other scripts are written in Latin letters here, as they sound; the page and the Markdown file "
    "have them in their own."
)


def pdf(found: Report, *, made_at: datetime) -> bytes:
    """The report: its first page, then the annex on pages of its own. made_at: with its time zone."""
    from fpdf import FPDF  # a tenth of a second that only this file needs

    class Paper(FPDF):
        """A4 with the page's number below."""

        def footer(self) -> None:
            self.set_y(-12)
            self.set_font("helvetica", size=8)
            self.set_text_color(*MUTED)
            self.cell(0, 6, letters(f"{found.title}   {self.page_no()} of {{nb}}"), align="C")

    paper = Paper(format="A4")
    paper.set_title(letters(found.title))
    paper.set_creator("Headroom")
    paper.set_lang("en-GB")
    paper.set_creation_date(made_at)
    paper.set_margins(MARGIN, MARGIN)
    paper.set_auto_page_break(True, margin=16)
    paper.add_page()
    _text(paper, found.title, size=17, style="B")
    _text(paper, found.verdict, size=12, colour=ACCENT)
    _text(paper, f"Made on {found.made_on} with Headroom.", size=8.5, colour=MUTED)
    for section in found.first_page:
        _section(paper, section)
    paper.add_page()
    _text(paper, "Annex", size=15, style="B")
    for section in found.annex:
        _section(paper, section)
    if written_otherwise(found):
        _text(paper, OTHER_LETTERS, size=8.5, colour=MUTED)
    return bytes(paper.output())


def letters(text: str) -> str:
    """Text in the letters that the fonts have: others are written as they sound (``通义`` as ``TongYi``)."""
    for letter, other in OTHERWISE.items():
        text = text.replace(letter, other)
    return "".join(letter if latin(letter) else anyascii(letter) for letter in text)


def latin(text: str) -> bool:
    """Whether the fonts have all of its letters."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def written_otherwise(found: Report) -> bool:
    """Whether names in the report are written in letters that are not their own."""
    texts = [found.title, found.verdict]
    for section in found.sections:
        texts += section.paragraphs
        if section.table is not None:
            texts += [cell for row in section.table.rows for cell in row]
    usual = str.maketrans(OTHERWISE)
    return not all(latin(text.translate(usual)) for text in texts)


def _section(paper: Any, section: Section) -> None:
    paper.ln(2)
    if paper.will_page_break(HEADED):
        paper.add_page()
    _text(paper, section.title, size=11, style="B")
    for paragraph in section.paragraphs:
        _text(paper, paragraph, size=9.5)
    if section.table is not None:
        _table(paper, section.table)
    if section.picture is not None:
        _picture(paper, section.picture)


def _text(
    paper: Any, text: str, *, size: float, style: str = "", colour: tuple[int, int, int] = (23, 32, 36)
) -> None:
    paper.set_font("helvetica", style=style, size=size)
    paper.set_text_color(*colour)
    paper.multi_cell(0, size * 0.48, letters(text), align="L", new_x="LMARGIN", new_y="NEXT")
    paper.ln(0.8)


def _table(paper: Any, table: Table) -> None:
    paper.set_font("helvetica", size=8)
    paper.set_text_color(23, 32, 36)
    paper.set_draw_color(*LINE)
    if not table.rows:
        _text(paper, "None.", size=9.5)
        return
    with paper.table(
        width=WIDE,
        col_widths=_widths(table),
        line_height=4.2,
        borders_layout="HORIZONTAL_LINES",
        text_align="LEFT",
        padding=0.6,
    ) as made:
        for cells in (table.columns, *table.rows):
            row = made.row()
            for cell in cells:
                row.cell(letters(cell))


def _widths(table: Table) -> tuple[float, ...]:
    """Shares of the width by the longest cell of each column, none too narrow or too wide."""
    columns = zip(table.columns, *table.rows, strict=True)
    return tuple(min(max(max(len(cell) for cell in column), 9), 62) for column in columns)


def _picture(paper: Any, drawn: Picture) -> None:
    height, left = 62.0, MARGIN + 20
    if paper.get_y() + height + 14 > paper.h - 16:
        paper.add_page()
    top, width = paper.get_y() + 1, WIDE - 22
    paper.set_draw_color(*LINE)
    paper.set_line_width(0.2)
    paper.rect(left, top, width, height)
    paper.set_font("helvetica", size=7)
    paper.set_text_color(*MUTED)
    for at, words in drawn.across:
        paper.line(left + at * width, top, left + at * width, top + height)
        paper.text(left + at * width - 3, top + height + 3.5, letters(words))
    for at, words in drawn.up:
        paper.line(left, top + at * height, left + width, top + at * height)
        paper.text(MARGIN, top + at * height + 1, letters(words))
    if drawn.band:
        paper.set_fill_color(*BAND)
        paper.polygon([(left + x * width, top + y * height) for x, y in drawn.band], style="F")
    taken: list[tuple[float, float]] = []
    for mark in drawn.marks:
        x, y = left + mark.x * width, top + mark.y * height
        fill = {"front": (23, 32, 36), "mine": ACCENT}.get(mark.kind, (180, 190, 193))
        paper.set_fill_color(*fill)
        size = {"front": 1.8, "mine": 2.6}.get(mark.kind, 1.1)
        paper.ellipse(x - size / 2, y - size / 2, size, size, style="F")
        if mark.label and not any(abs(x - one) < 34 and abs(y - other) < 3 for one, other in taken):
            taken.append((x, y))
            paper.set_text_color(*(ACCENT if mark.kind == "mine" else (23, 32, 36)))
            wide = paper.get_string_width(letters(mark.label))
            paper.text(min(x + 1.8, left + width - wide), y - 1.2, letters(mark.label))
    # A table after it would be filled with the last mark's colour.
    paper.set_fill_color(255, 255, 255)
    paper.set_y(top + height + 6)
    _text(paper, f"Time against cost of the run, both logarithmic. {drawn.caption}", size=8, colour=MUTED)
