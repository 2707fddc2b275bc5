"""One file per command: reads, calls the library, writes results.json and the page. Arguments
arrive checked for type from `cli`.
"""
