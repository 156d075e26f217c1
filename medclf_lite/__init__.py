"""Companion package of the course: one street from a folder of images to measured figures."""

__version__ = "0.1.0"
