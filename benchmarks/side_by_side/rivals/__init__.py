"""Proxies as a competent engineer would write them by hand, one small module each, and our own ceiling and floor.

``python -m benchmarks.side_by_side.rivals.<name> <port> <SMSBAT's address> [<database>]`` serves one.
"""
