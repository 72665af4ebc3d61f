"""What a session runs on beside the one ordered carrier: the lossy one, and both carriers' keys of an epoch."""

from sottovoce.session.carriers.chains import EpochChains, FrameKeys, chains_of
from sottovoce.session.carriers.lossy import LossyChain

__all__ = ["EpochChains", "FrameKeys", "LossyChain", "chains_of"]
