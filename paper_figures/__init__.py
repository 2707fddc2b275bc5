"""The figures of the series, one file each, from recorded results.json files; nothing here trains.
`python -m paper_figures fig04`.
"""
