"""Data sets by name: one file for each source, or for sources of one kind."""
