"""Where Django looks for this app's tables: gathers those of its packages."""

from inventory.store.models import (
    Event,
    Gpu,
    GpuPlacement,
    Host,
    HostGroup,
    HostLatest,
    HostToken,
    MigInstance,
    Nonce,
    Probe,
    Refusal,
    Sample,
)

__all__ = [
    "Event",
    "Gpu",
    "GpuPlacement",
    "Host",
    "HostGroup",
    "HostLatest",
    "HostToken",
    "MigInstance",
    "Nonce",
    "Probe",
    "Refusal",
    "Sample",
]
