"""A self-billing document as PDF: the same document gives the same bytes, whenever and wherever it is written."""

from datetime import UTC, datetime, time
from pathlib import Path

import font_roboto
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from payouts.self_billing import Document, Party, amount

_FONTS = Path(font_roboto.__file__).parent / "files"
# Every reader of PDF has it; a file that brings its own font costs 0.4 s where this one costs a hundredth.
_PLAIN = "Helvetica"
_OWN = "Roboto"
_WIDTHS = (110.0, 25.0, 45.0)
_LINE = 5.5


def written(document: Document) -> bytes:
    """Return the PDF. Characters beyond Latin, Greek and Cyrillic are printed as empty boxes, for want of a font."""
    pdf = FPDF()
    # Of the document and not of this moment: its time is part of the file.
    pdf.set_creation_date(datetime.combine(document.issued_on, time(), UTC))
    pdf.set_producer("Clickledger")
    pdf.set_title(f"{document.title} {document.number}")
    pdf.set_auto_page_break(auto=True, margin=15)
    family = _family(document)
    if family == _OWN:
        for style, file in (("", "Roboto-Regular.ttf"), ("B", "Roboto-Bold.ttf")):
            pdf.add_font(family, style, _FONTS / file)
    pdf.add_page()
    pdf.set_font(family, "B", 16)
    pdf.cell(0, 10, document.title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.set_font(style="", size=10)
    for label, text in _facts(document):
        pdf.cell(45, _LINE, label)
        pdf.cell(0, _LINE, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(4)
    _party(pdf, "Supplier", document.supplier)
    _party(pdf, "Customer, who issues this document", document.customer)
    _lines(pdf, document)
    pdf.ln(4)
    pdf.multi_cell(0, _LINE, document.note, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.multi_cell(
        0, _LINE, f"Paid on {document.paid_on}, reference {document.reference}.", new_x=XPos.LMARGIN, new_y=YPos.NEXT
    )
    return bytes(pdf.output())


def _family(document: Document) -> str:
    parties = (document.supplier, document.customer)
    texts = [line for party in parties for line in (party.name, *party.address)]
    texts += [line.description for line in document.lines]
    return _PLAIN if all(each <= "\xff" for text in texts for each in text) else _OWN


def _facts(document: Document) -> list[tuple[str, str]]:
    facts = [
        ("Number", document.number),
        ("Issued on", str(document.issued_on)),
        ("Services supplied", f"{document.supplied_from} to {document.supplied_until}"),
    ]
    return facts + ([("Corrects and replaces", document.corrects)] if document.corrects else [])


def _party(pdf: FPDF, heading: str, party: Party) -> None:
    pdf.set_font(style="B", size=10)
    pdf.cell(0, _LINE, heading, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.set_font(style="", size=10)
    for line in (party.name, *party.address, *([f"VAT id {party.vat_id}"] if party.vat_id else [])):
        pdf.multi_cell(0, _LINE, line, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(3)


def _lines(pdf: FPDF, document: Document) -> None:
    pdf.set_font(style="B", size=10)
    _row(pdf, "Service", "Conversions", "Amount")
    pdf.set_font(style="", size=10)
    for line in document.lines:
        _row(pdf, line.description, str(line.count), amount(line.amount_minor, document.currency))
    pdf.ln(2)
    if document.vat_percent is not None:
        _row(pdf, "Net", "", amount(document.net_minor, document.currency))
        _row(pdf, f"VAT {document.vat_percent} %", "", amount(document.vat_minor, document.currency))
    pdf.set_font(style="B", size=10)
    _row(pdf, "Total", "", amount(document.total_minor, document.currency))
    pdf.set_font(style="", size=10)


def _row(pdf: FPDF, text: str, count: str, figure: str) -> None:
    # A long name is cut to its column rather than printed over the figures.
    while pdf.get_string_width(text) > _WIDTHS[0] - 2:
        text = f"{text[:-4]}..."
    pdf.cell(_WIDTHS[0], _LINE, text)
    pdf.cell(_WIDTHS[1], _LINE, count, align="R")
    pdf.cell(_WIDTHS[2], _LINE, figure, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
