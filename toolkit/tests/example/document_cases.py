"""Files for the tests of documents: PDFs made by hand, harmless and hostile ones."""

import zlib


def pdf(text: str) -> bytes:
    """Return a PDF of one page."""
    return pdf_of_stream(f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET".encode())


def endless_pdf() -> bytes:
    """Return a small PDF whose page takes minutes to read."""
    return pdf_of_stream(zlib.compress(b"BT /F1 12 Tf (x) Tj ET " * 3_000_000, 9), compressed=True)


def zip_bomb_pdf() -> bytes:
    """Return a small PDF whose page has 200 MB."""
    return pdf_of_stream(zlib.compress(b" " * 200_000_000, 9), compressed=True)


def pdf_of_stream(stream: bytes, *, compressed: bool = False) -> bytes:
    """Return a PDF of one page with this content stream."""
    filters = b"/Filter /FlateDecode " if compressed else b""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< %s/Length %d >>\nstream\n%s\nendstream" % (filters, len(stream), stream),
        font,
    ]
    whole, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(whole))
        whole += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(whole)
    return whole + b"xref\n0 6\n0000000000 65535 f \n" + table + end
