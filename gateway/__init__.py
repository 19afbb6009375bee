"""A drop-in server for legacy messaging APIs in front of SMSBAT's REST API."""

__version__ = "0.1.0"
