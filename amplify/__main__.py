"""`python -m amplify` is the command `amplify`."""

import os
import sys
import sysconfig

# python -m puts the working directory first: a numbers.py of the user's would take the place of the
# standard library's, which NumPy needs
if sys.path[0] == os.getcwd() and not sys.flags.safe_path:  # noqa: PTH109
    _HERE = sys.path.pop(0)
    _LIBRARY = sysconfig.get_path("stdlib")
    _LAST = max((i for i, e in enumerate(sys.path) if e.startswith(_LIBRARY)), default=-1)
    sys.path.insert(_LAST + 1, _HERE)

from amplify.cli import main

main()
