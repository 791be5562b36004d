"""The pure core: no I/O, no clock, no log, no randomness. Values in, decisions out."""
