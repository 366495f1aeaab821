"""The fleet as Prometheus reads it, by that project's own parser."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from inventory.store import services
from inventory.wire.snapshot import Missing, Utilization
from tests.inventory.builders import gpu
from tests.inventory.visiting import add, page

pytestmark = pytest.mark.django_db


class TestMetrics:
    def families(self, client: Client, **headers: str) -> dict[str, Any]:
        return {f.name: f for f in text_string_to_metric_families(page(client, "/metrics", **headers))}

    def test_names_and_labels_of_dcgm(self, client: Client) -> None:
        add("node-1", gpu(0, "GPU-a", busy=42, used_gib=10))
        found = self.families(client)
        (sample,) = found["DCGM_FI_DEV_GPU_UTIL"].samples
        assert sample.value == 42
        assert sample.labels == {
            "gpu": "0",
            "UUID": "GPU-a",
            "device": "nvidia0",
            "modelName": "NVIDIA A100-SXM4-40GB",
            "Hostname": "node-1",
        }
        assert found["DCGM_FI_DEV_FB_USED"].samples[0].value == 10 * 1024
        assert found["headroom_host_stale"].samples[0].value == 0

    def test_unknown_has_no_sample(self, client: Client) -> None:
        add("node-1", gpu(0, utilization=Utilization(Missing("not_supported"))))
        assert self.families(client)["DCGM_FI_DEV_GPU_UTIL"].samples == []

    def test_odd_names_are_escaped(self, client: Client) -> None:
        add("node-1", gpu(0, name='odd "name"\n\\ here'))
        (sample,) = self.families(client)["DCGM_FI_DEV_GPU_TEMP"].samples
        assert sample.labels["modelName"] == 'odd "name"\n\\ here'

    def test_refusals_are_counted(self, client: Client) -> None:
        services.note_refusal("too_large", "9 GB", "10.0.0.1")
        (sample,) = self.families(client)["headroom_refused_deliveries_24h"].samples
        assert (sample.labels, sample.value) == ({"kind": "too_large"}, 1)

    def test_needs_its_token_where_pages_need_a_login(self, client: Client, settings: Any) -> None:
        settings.LOGIN_REQUIRED = True
        page(client, "/metrics", status=401)
        settings.METRICS_TOKEN = "secret"
        page(client, "/metrics", status=401, Authorization="Bearer wrong")
        assert "headroom_host_stale" in self.families(client, Authorization="Bearer secret")
