"""A layout for Kubernetes: config maps of the GPU operator and of the device plugin, and claims of DRA.

Formats: NVIDIA/gpu-operator, commit a22dbf6, assets/state-mig-manager/0400_configmap.yaml and the chart's
values.yaml (a config map with the key ``config.yaml``, chosen by the node label ``nvidia.com/mig.config``);
NVIDIA/k8s-device-plugin README, commit 1b826ac (version v1, flags.migStrategy;
resources ``nvidia.com/mig-1g.5gb``); kubernetes-sigs/dra-driver-nvidia-gpu, demo/specs/quickstart/v1,
commit 9593204 (ResourceClaimTemplate of resource.k8s.io/v1, device class ``mig.nvidia.com``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from planner.mig.exports.layouts import HostLayout
from planner.mig.exports.mig_parted import config_name, mig_parted


def gpu_operator(layouts: Iterable[HostLayout]) -> str:
    """A config map for the operator's MIG manager, with the label that has a node take it."""
    known = list(layouts)
    hosts = sorted({layout.host for layout in known}) or [""]
    labels = [
        f"# kubectl label node {host or '<node>'} nvidia.com/mig.config={config_name(host)} --overwrite"
        for host in hosts
    ]
    body = "".join(f"    {line}\n" for line in mig_parted(known).splitlines())
    return (
        "\n".join(labels)
        + "\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: headroom-mig-config\n"
        + "  namespace: gpu-operator\ndata:\n  config.yaml: |\n"
        + body
    )


def strategy(layouts: Iterable[HostLayout]) -> str:
    """``single`` where every GPU of the hosts holds one and the same profile, else ``mixed``."""
    return (
        "single"
        if len({tuple(name for name, _ in each.counts) for each in layouts}) == 1
        and all(len(each.counts) == 1 and each.alone for each in layouts)
        else "mixed"
    )


def resource(profile: str) -> str:
    """The device plugin's name of a profile's resource under the mixed strategy."""
    return f"nvidia.com/mig-{profile.replace('+', '.')}"


def device_plugin(layouts: Iterable[HostLayout]) -> str:
    """The device plugin's configuration, with what pods then ask for."""
    known = list(layouts)
    chosen = strategy(known)
    names = sorted({name for layout in known for name, _ in layout.counts})
    asked = ["nvidia.com/gpu"] if chosen == "single" else [resource(name) for name in names]
    lines = [f"# Pods ask for {', '.join(asked)}." if asked else "# There are no instances."]
    lines += [
        "apiVersion: v1", "kind: ConfigMap", "metadata:", "  name: headroom-device-plugin",
        "  namespace: gpu-operator", "data:", "  config.yaml: |", "    version: v1", "    flags:",
        f"      migStrategy: {chosen}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def dra(layouts: Iterable[HostLayout]) -> str:
    """A claim template for each profile of the layout; a pod names the one that it wants."""
    counts: Counter[str] = Counter()
    for layout in layouts:
        for name, count in layout.counts:
            counts[name] += count * len(layout.indices)
    documents = []
    for name, count in sorted(counts.items()):
        label = f"mig-{name}".replace(".", "-").replace("+", "-")
        documents.append(
            f"# {count} in the layout\n"
            "apiVersion: resource.k8s.io/v1\n"
            "kind: ResourceClaimTemplate\n"
            "metadata:\n"
            f"  name: {label}\n"
            "spec:\n"
            "  spec:\n"
            "    devices:\n"
            "      requests:\n"
            f"      - name: {label}\n"
            "        exactly:\n"
            "          deviceClassName: mig.nvidia.com\n"
            "          selectors:\n"
            "          - cel:\n"
            f"              expression: \"device.attributes['gpu.nvidia.com'].profile == '{name}'\"\n"
        )
    return "---\n".join(documents)
