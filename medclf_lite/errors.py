"""The one exception class that the package raises for bad input."""


class MedclfError(ValueError):
    """Input that cannot be used: says what was expected, what came, and what to do.

    The command line prints its message without a traceback and exits with status 2.
    """
