"""The HTTP edge for legacy clients: raw bytes in, the dialect's bytes out, whatever happens."""
