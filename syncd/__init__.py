"""Keeps the clients of several business systems the same."""

__version__ = "0.1.0"
