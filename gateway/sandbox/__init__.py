"""A stand-in SMSBAT for the demo, the tests and the benchmarks: a real HTTP server with the documented manners."""
