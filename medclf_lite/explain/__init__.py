"""Where a classifier looks, and whether that is true: heat maps, and checks of heat maps.

A heat map is an output like any other, and can be wrong. So beside the tool that draws one stand
those that measure one: against masks of what is to be found, and against the maps of a network
that has forgotten what it knew.
"""

from medclf_lite.explain.cam import grad_cam
from medclf_lite.explain.forget import randomised
from medclf_lite.explain.grades import energy_in_mask, pointing_game, similarity

__all__ = ["energy_in_mask", "grad_cam", "pointing_game", "randomised", "similarity"]
