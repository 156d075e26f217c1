"""One decoder for every format, squares of one size, and the pixel cache."""

from medclf_lite.images.decode import read_grey
from medclf_lite.images.pixels import iter_pixels, load_pixels
from medclf_lite.images.square import Fit, to_square

__all__ = ["Fit", "iter_pixels", "load_pixels", "read_grey", "to_square"]
