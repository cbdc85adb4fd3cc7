"""The demo: a year of real shopping replayed through a coalition of ten merchants."""

from coalition.demo.show import run

__all__ = ["run"]
