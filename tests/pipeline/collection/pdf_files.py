"""PDFs as people have them: one image, dark in its upper half, in every way that a scanner's program writes it."""

from __future__ import annotations

import io
import re
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image


def _pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """A PDF of one page that shows an image, `objects` from the fifth on."""
    whole = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 48 60]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>>>",
        b"<</Length 22>>\nstream\nq 48 0 0 60 0 0 cm /I Do Q\nendstream",
        *objects,
    )
    data, starts = b"%PDF-1.7\n", []
    for number, each in enumerate(whole, 1):
        starts.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    return data + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(whole) + 1,
        table,
        len(whole) + 1,
        trailer,
        len(data),
    )


def _image(filter_: bytes, data: bytes) -> bytes:
    head = b"<</Type/XObject/Subtype/Image/Width 48/Height 60%s/Length %d>>" % (filter_, len(data))
    return b"%s\nstream\n%s\nendstream" % (head, data)


def _fax(tones: npt.NDArray[np.uint8]) -> bytes:
    """Black and white as T.6 codes it: in CCITT images, and in JBIG2."""
    kept = io.BytesIO()
    Image.fromarray(tones).convert("1", dither=Image.Dither.NONE).save(kept, "TIFF", compression="group4")
    tags = Image.open(kept).tag_v2
    return kept.getvalue()[tags[273][0] :][: tags[279][0]]


def kinds_of_pdf() -> dict[str, bytes]:
    """One image, dark in its upper half, as PDFs have it."""
    grey = np.full((60, 48), 235, np.uint8)
    grey[:30] = 60
    cmyk = np.dstack([np.zeros_like(grey)] * 3 + [255 - grey])
    fax, not_fax = _fax(grey), _fax(255 - grey)
    segment = struct.pack(">4IBB", 48, 60, 0, 0, 0, 1) + not_fax
    jbig2 = struct.pack(">IBBBI", 0, 48, 0, 1, 19) + struct.pack(">4IBH", 48, 60, 0, 0, 0, 0)
    jbig2 += struct.pack(">IBBBI", 1, 38, 0, 1, len(segment)) + segment
    plain = _image(b"/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/FlateDecode", zlib.compress(grey.tobytes()))
    of_bits = b"/ColorSpace/DeviceGray/BitsPerComponent 1/Filter"
    whole = _pdf(plain)
    return {
        "plain": whole,
        "fax": _pdf(_image(of_bits + b"/CCITTFaxDecode/DecodeParms<</K -1/Columns 48/Rows 60/BlackIs1 true>>", fax)),
        "jbig2": _pdf(_image(of_bits + b"/JBIG2Decode", jbig2)),
        "cmyk": _pdf(
            _image(b"/ColorSpace/DeviceCMYK/BitsPerComponent 8/Filter/FlateDecode", zlib.compress(cmyk.tobytes()))
        ),
        "wrong table": re.sub(rb"\d{10} 00000 n", b"0000000007 00000 n", whole),
        "wrong start": re.sub(rb"startxref\n\d+", b"startxref\n99999", whole),
        "locked": _pdf(
            plain,
            b"<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -44>>" % (b"41" * 32, b"42" * 32),
            trailer=b"/Encrypt 6 0 R/ID[<00><00>]",
        ),
        "own lock": _pdf(plain, b"<</Filter/Adobe.APS/V 4>>", trailer=b"/Encrypt 6 0 R/ID[<00><00>]"),
        "cut short": whole[: len(whole) // 2],
        "begun": b"%PDF-1.7 and no more",
        "web page": b"<html>not found</html>",
    }
