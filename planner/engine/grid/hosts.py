"""The machine around the accelerators: its memory and links, where the question does not say them."""

from __future__ import annotations

import numpy as np

from planner.engine.grid.clock import family
from planner.engine.question.request import Cluster

#: PCIe between a chip and its host, one direction, x16, by the chip's generation: 3 (16 GB/s) for Volta and
#: Turing, 4 for Ampere and Ada, 5 (64 GB/s) since Hopper. Source: the vendors' data sheets, read 2026-11.
HOST_LINK_BYTES_PER_S = {
    "volta": 16e9,
    "turing": 16e9,
    "ampere": 32e9,
    "ada": 32e9,
    "hopper": 64e9,
    "blackwell": 64e9,
    "blackwell_rtx": 64e9,
    "cdna3": 64e9,
    "cdna4": 64e9,
}
#: Memory of two CPU sockets of the servers that such chips were sold in: six channels of DDR4-2666 a socket
#: (Xeon Skylake), eight of DDR4-3200 (Epyc Rome), eight of DDR5-4800 (Sapphire Rapids), eight of DDR5-5600
#: (Emerald Rapids). Source: the processors' data sheets, read 2026-11.
HOST_BANDWIDTH_BYTES_PER_S = {
    "volta": 256e9,
    "turing": 256e9,
    "ampere": 410e9,
    "ada": 410e9,
    "hopper": 614e9,
    "blackwell": 717e9,
    "blackwell_rtx": 717e9,
}
HOST_BANDWIDTH_DEFAULT = 410e9
HOST_LINK_DEFAULT = 32e9
#: The same of the desktop that one or two GeForce cards are in: two channels of DDR5-4800, 77 GB/s, of which
#: one socket reaches twice the share that two do. Our judgement: torchao's offloaded optimizers move some 50
#: GB/s on one (torchao/optim/README.md, 2024).
HOST_BANDWIDTH_DESKTOP = 2 * 77e9
GEFORCE = ("rtx-3", "rtx-4", "rtx-5")
MOST_IN_A_DESKTOP = 2


def host_numbers(cluster: Cluster) -> dict[str, float]:
    """Memory, its bandwidth and the link of a node's host, in bytes and bytes/s; the power limit's share.

    nan where the host's memory is not known. The link is that of the accelerator's generation
    (``HOST_LINK_BYTES_PER_S``), shared by the ranks of one chip.
    """
    chip = cluster.accelerator
    given, limit = cluster.host_bytes, cluster.power_limit_watts
    usual = HOST_BANDWIDTH_BYTES_PER_S.get(family(chip), HOST_BANDWIDTH_DEFAULT)
    if chip.slug.startswith(GEFORCE) and cluster.accelerators_per_node <= MOST_IN_A_DESKTOP:
        usual = HOST_BANDWIDTH_DESKTOP
    link = HOST_LINK_BYTES_PER_S.get(family(chip), HOST_LINK_DEFAULT)
    return {
        "host_memory_bytes": np.nan if given is None else given,
        "host_bandwidth_bytes_per_s": cluster.host_memory_bandwidth_bytes_per_s or usual,
        "host_link_bytes_per_s": link / chip.ranks_per_accelerator,
        "power_share": min(limit / chip.power_watts, 1.0) if limit and chip.power_watts else 1.0,
    }
