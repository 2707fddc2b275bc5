"""From samples, files or arrays, to a result: no printing, no parsing of arguments."""
