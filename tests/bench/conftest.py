"""What the tests of this folder share."""

from tests.real_engine import frugal_engines, kept_environment  # noqa: F401 (fixtures)
