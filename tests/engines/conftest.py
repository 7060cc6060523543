"""What the tests of this folder share."""

import os
import secrets

from ochat_eval.engines import cluster
from tests.real_engine import frugal_engines, kept_environment  # noqa: F401 (fixtures)

# vLLM imports Ray, which reads these as it is imported, whichever test comes first.
for name, value in {**cluster._ENVIRONMENT, **cluster._ALONE}.items():
    os.environ.setdefault(name, value)
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex())
