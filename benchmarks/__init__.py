"""Measurements. Nothing here asserts a time; each prints figures and how to read them."""
