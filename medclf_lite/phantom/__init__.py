"""Synthetic chest radiographs of patients who do not exist, with the truth about each."""

from medclf_lite.phantom.folder import write_folder
from medclf_lite.phantom.generate import Phantom, generate
from medclf_lite.phantom.spec import PhantomSpec

__all__ = ["Phantom", "PhantomSpec", "generate", "write_folder"]
