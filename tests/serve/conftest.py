"""What the tests of this folder share."""

from tests.real_engine import frugal_engines, kept_environment  # noqa: F401 (fixtures)
from tests.serve.serving import servers  # noqa: F401 (a fixture)
