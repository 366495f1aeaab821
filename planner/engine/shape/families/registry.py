"""Every family that is described by its parts, by its ``model_type``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.decoders import ROWS, read_row
from planner.engine.shape.families.encoders import OTHER_ENCODERS
from planner.engine.shape.families.further_decoders import FURTHER_DECODERS
from planner.engine.shape.families.gemma import GEMMAS
from planner.engine.shape.families.hybrids import HYBRIDS
from planner.engine.shape.families.image_encoders import IMAGE_ENCODERS
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.families.kimi import KIMIS
from planner.engine.shape.families.latent import LATENT
from planner.engine.shape.families.nemotron import NEMOTRONS
from planner.engine.shape.families.newer_decoders import NEWER_ROWS, read_newer_row
from planner.engine.shape.families.rwkv import RWKVS
from planner.engine.shape.families.seq2seq import SEQ2SEQ
from planner.engine.shape.families.short_convolution import SHORT_CONVOLUTIONS
from planner.engine.shape.families.speech import SPEECH
from planner.engine.shape.families.windowed_mixtures import WINDOWED_MIXTURES

PartsReader = Callable[[Keys, str, str], ModelSpec]

PART_FAMILIES: Final[dict[str, PartsReader]] = {
    **dict.fromkeys(ROWS, read_row),
    **dict.fromkeys(NEWER_ROWS, read_newer_row),
    **FURTHER_DECODERS,
    **KIMIS,
    **HYBRIDS,
    **LATENT,
    **NEMOTRONS,
    **RWKVS,
    **SHORT_CONVOLUTIONS,
    **WINDOWED_MIXTURES,
    **GEMMAS,
    **OTHER_ENCODERS,
    **IMAGE_ENCODERS,
    **SPEECH,
    **SEQ2SEQ,
}
