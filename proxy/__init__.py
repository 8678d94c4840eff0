"""imgbang: an on-demand resizing image proxy for any bucket."""

__version__ = "0.1.0"
