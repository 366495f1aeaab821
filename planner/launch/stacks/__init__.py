"""The training stacks, a file each: what it can do of a plan, and how it is told.

A stack file knows the plan and its own keys; it knows no other stack.
"""

from __future__ import annotations

from planner.launch.records import Stack
from planner.launch.stacks import (
    axolotl,
    deepspeed,
    fsdp,
    megatron,
    neuron,
    torchtitan,
    torchtune,
    trl,
    verl,
)

STACKS: tuple[Stack, ...] = (
    megatron.STACK,
    torchtitan.STACK,
    neuron.STACK,
    deepspeed.STACK,
    fsdp.STACK,
    trl.STACK,
    axolotl.STACK,
    torchtune.STACK,
    verl.STACK,
)
