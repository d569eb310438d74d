"""Bytes of a text file to text, whatever editor saved them."""

import codecs

__all__ = ["utf8"]

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"),
          (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))


def utf8(content: bytes) -> str:
    """Text of UTF-8 bytes, without the byte order mark that some editors put before it.

    Raises
    ------
    ValueError
        If the bytes are not UTF-8; the message says in which line.
    """
    for mark, name in _MARKS:
        if content.startswith(mark):
            raise ValueError(f"must be UTF-8, not {name}, whose byte order mark it begins with")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"must be UTF-8, but line {line} has the byte "
                         f"0x{content[error.start]:02x}") from None
