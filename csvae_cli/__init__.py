"""csvae: learn the styles of an attribute, and put any of them on any face."""

__version__ = "0.1.0"
