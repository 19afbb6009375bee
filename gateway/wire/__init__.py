"""Pure codecs for what is on the wire: bytes in, values out, and back. No I/O, no framework."""
