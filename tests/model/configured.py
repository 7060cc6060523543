"""Models as conf/model/ describes them."""

from __future__ import annotations

from omegaconf import OmegaConf

from ochat_eval.model.model import Model
from tests.conftest import CHECKOUT

CONF = CHECKOUT / "conf/model"


def configured(name: str, **changes: object) -> Model:
    """The model that `conf/model/<name>.yaml` describes."""
    node = OmegaConf.merge(OmegaConf.structured(Model), OmegaConf.load(CONF / f"{name}.yaml"))
    return OmegaConf.to_object(OmegaConf.merge(node, changes))
