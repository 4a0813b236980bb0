"""Kehu (客户): a customer warehouse for retailers and distributors."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("kehu")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0.0.0"
