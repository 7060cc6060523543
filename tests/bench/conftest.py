"""What the tests of this folder share."""

from tests.real_engine import frugal_engines  # noqa: F401 (a fixture)
