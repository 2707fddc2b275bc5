"""From a generator to trained members (`fit`, `ensemble`): one compiled scan (`loop`) over all
devices; and what training leaves (`trained`).
"""
