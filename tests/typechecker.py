"""beartype with the usual rule that an int serves as a float."""

import copyreg
import weakref

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))


class Nobody:
    """What a checked function that went to another process holds weakly of itself."""

    def __call__(self):
        """Nothing."""


# tasks of an engine are functions inside functions, which are checked where tests run
copyreg.pickle(weakref.ReferenceType, lambda _: (Nobody, ()))  # pyright: ignore
