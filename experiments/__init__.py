"""Recorded studies: a frozen config and a main each, `python -m experiments.ring --help`."""
