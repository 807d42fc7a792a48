"""PDF files of half the size, in which no difference is seen."""

import io
import re
import zlib

from fontTools.ttLib import TTFont

LAYOUT = ("GDEF", "GPOS", "GSUB", "MATH")  # tables of a font by which text is set, which it already is
HINTS = ("cvt ", "fpgm", "prep", "gasp")  # and by which it is fitted to the pixels of old screens
TEXT_OR_NUMBER = re.compile(rb"\((?:\\.|[^\\()])*\)|(?<![\w.])-?\d*\.\d{4,}(?![\w.])", re.DOTALL)
PALETTE = re.compile(rb"\[ /Indexed /DeviceRGB \d+\s\((?:\\.|[^\\()])*\)\s\]", re.DOTALL)
PARTS = re.compile(rb"(?P<entries><<.*?>>)\s*stream\r?\n", re.DOTALL)


def lean(pdf):
    """Rewrite a PDF of matplotlib: numbers as exact as they are seen, fonts without hints, small objects compressed.

    Parameters
    ----------
    pdf : bytes
        As matplotlib writes it: not encrypted, in one piece, with a table of its objects at the end.

    Returns
    -------
    bytes
        PDF 1.5, the same for the same figure. Text stays text.

    Raises
    ------
    ValueError
        If it is not such a file.
    """
    objects = _objects(pdf)
    pages = b"".join(entries for entries, _ in objects.values() if re.search(rb"/Type /Page\b", entries))
    drawn = {int(number) for number in re.findall(rb"/Contents (\d+) 0 R", pages)}
    streams, plain, lengths = {}, {}, set()
    for number, (entries, stream) in objects.items():
        if stream is None:
            plain[number] = entries
            continue
        lengths |= {int(reference) for reference in re.findall(rb"/Length (\d+) 0 R", entries)}
        if b"/FlateDecode" in entries:
            content = zlib.decompress(stream)
            if number in drawn or b"/Subtype /Form" in entries:
                content = rounded(content)
            elif b"/Length1" in entries:
                content = _without_hints(content)
                entries = re.sub(rb"/Length1 \d+", b"/Length1 %d" % len(content), entries)
            stream = zlib.compress(content, 9)
        entries = re.sub(rb"/Length \d+( 0 R)?", b"/Length %d" % len(stream), entries)
        if palette := PALETTE.search(entries):  # which would be the only part of an image that is not compressed
            plain[place := max([*objects, *plain]) + 1] = palette[0]
            entries = entries.replace(palette[0], b"%d 0 R" % place)
        streams[number] = rounded(entries), stream
    plain = {number: entries for number, entries in plain.items() if number not in lengths}
    trailer = re.search(rb"trailer\s*<<(.*?)>>\s*startxref", pdf, re.DOTALL)[1]
    return _written(streams, plain, trailer)


def _objects(pdf):
    """Entries, and the bytes of the stream or None, of every object by its number."""
    table = re.search(rb"\nxref\n0 (\d+)\n((?:\d{10} \d{5} [fn] ?\r?\n)+)trailer", pdf)
    if not table:
        raise ValueError("pdf: expected a PDF of matplotlib, with a table of its objects, got something else")
    places = sorted(int(line[:10]) for line in table[2].splitlines() if line[17:18] == b"n")
    found = {}
    for start, end in zip(places, [*places[1:], table.start()], strict=True):
        number, body = re.fullmatch(rb"(\d+) 0 obj\s(.*)\sendobj\s*", pdf[start:end], re.DOTALL).groups()
        parts = PARTS.match(body)
        found[int(number)] = (parts["entries"], body[parts.end() :]) if parts else (body, None)
    for number, (entries, stream) in found.items():
        if stream is not None:
            length, indirect = re.search(rb"/Length (\d+)( 0 R)?", entries).groups()
            length = int(found[int(length)][0]) if indirect else int(length)
            found[number] = entries, stream[:length]
    return found


def rounded(content):
    """Drawing instructions with numbers to a thousandth of a point, small ones to a millionth; texts as they are.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    bytes
    """
    return TEXT_OR_NUMBER.sub(_shorter, content)


def _shorter(match):
    text = match[0]
    if text.startswith(b"("):
        return text
    number = float(text)
    short = f"{number:.3f}" if abs(number) >= 0.1 else f"{number:.6f}"
    short = short.rstrip("0").rstrip(".")
    return b"0" if short in ("-0", "0", "") else short.encode()


def _without_hints(font):
    with TTFont(io.BytesIO(font), recalcBBoxes=False, recalcTimestamp=False) as outlines:
        for table in (*LAYOUT, *HINTS):
            if table in outlines:
                del outlines[table]
        for name in outlines["glyf"].keys():  # noqa: SIM118, fontTools' own kind of mapping
            outlines["glyf"][name].removeHinting()
        outlines["post"].formatType = 3.0  # without names of glyphs, which stand elsewhere in the PDF
        outlines.save(content := io.BytesIO(), reorderTables=False)
    return content.getvalue()


def _written(streams, plain, trailer):
    """The file, with all objects that are no streams in one stream, and a compressed table of where they are."""
    content, places = io.BytesIO(), {0: (0, 0, 65535)}
    content.write(b"%PDF-1.5\n%\xac\xdc \xab\xba\n")

    def write(number, entries, stream):
        places[number] = 1, content.tell(), 0
        content.write(b"%d 0 obj\n%s\nstream\n%s\nendstream\nendobj\n" % (number, entries, stream))

    for number, (entries, stream) in streams.items():
        write(number, entries, stream)
    packed = max([*streams, *plain]) + 1
    starts, offset = [], 0
    for i, (number, entries) in enumerate(plain.items()):
        starts.append(b"%d %d" % (number, offset))
        places[number] = 2, packed, i
        offset += len(entries) + 1
    head = b" ".join(starts) + b"\n"
    body = zlib.compress(head + b"\n".join(plain.values()), 9)
    entries = b"<< /Type /ObjStm /N %d /First %d /Length %d /Filter /FlateDecode >>"
    write(packed, entries % (len(plain), len(head), len(body)), body)
    size = packed + 2
    here = content.tell()
    places[packed + 1] = 1, here, 0
    rows = b"".join(
        kind.to_bytes(1, "big") + first.to_bytes(4, "big") + second.to_bytes(2, "big")
        for kind, first, second in (places.get(number, (0, 0, 65535)) for number in range(size))
    )
    table = zlib.compress(rows, 9)
    kept = b" ".join(re.findall(rb"/(?:Root|Info) \d+ 0 R", trailer))
    entries = b"<< /Type /XRef /Size %d /W [1 4 2] %s /Length %d /Filter /FlateDecode >>" % (size, kept, len(table))
    write(packed + 1, entries, table)
    content.write(b"startxref\n%d\n%%%%EOF\n" % here)
    return content.getvalue()
