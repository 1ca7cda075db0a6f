"""PNG files of pixels (ISO/IEC 15948), which every browser and OCR program takes.

Written here, in a dozen lines, for the process that reads PDFs loads no library of pictures.
"""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = (8, 2, 0, 0, 0)  # 8 bits a colour; three of them; the only packing, filter, and order


def png_of(pixels: bytes, width: int, height: int, stride: int) -> bytes:
    """The PNG of red, green and blue bytes, row by row; each row begins `stride` bytes later.

    >>> png_of(bytes(3), 1, 1, 3)[:8] == SIGNATURE
    True
    """
    rows = (pixels[y * stride : y * stride + 3 * width] for y in range(height))
    header = struct.pack(">II5B", width, height, *_RGB)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows), 6)  # 0: rows as they are
    return b"".join(
        (SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", packed), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
