"""Models of one's own on the page: an architecture by its fields or pasted, a pasted config by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from tests.plans.test_page import GPT2, HTMX, field_errors, plan, verdict

pytestmark = pytest.mark.django_db


class TestOwnModels:
    SHAPE = "layers=64&hidden=5120&heads=40&kv=8&head_dim=128&ffn=27392&gated=on&norm=rmsnorm&vocab=102400"
    PASTED: dict[str, Any] = {
        "architecture": "encoder_decoder",
        "layers": 12,
        "decoder_layers": 12,
        "hidden_size": 1024,
        "attention_heads": 16,
        "ffn_size": 4096,
        "vocab_size": 50265,
        "max_positions": 1026,
        "position_embedding": "learned",
        "tied_embeddings": True,
        "bias": True,
        "norm": "layernorm",
    }

    def test_an_architecture_by_its_fields(self, client: Client) -> None:
        response = plan(client, f"{self.SHAPE}&name=Mine&nodes=4&seq=4096")
        assert "Mine on 4" in verdict(response)
        assert b"Read as an own architecture: 64 blocks, 32B" in response.content
        answer = json.loads(client.get(f"/plan.json?{self.SHAPE}&nodes=4&seq=4096").content)
        assert answer["parameters"]["total"] == pytest.approx(32_003_216_384, rel=0.001)

    def test_an_architecture_pasted_in_the_contract_s_words(self, client: Client) -> None:
        posted = {"config": json.dumps(self.PASTED), "model": "", "nodes": "1", "seq": "512"}
        response = client.post("/", posted, headers=HTMX)
        assert response.status_code == 200
        answer = json.loads(client.get(f"/plan.json{response['HX-Push-Url'][1:]}").content)
        assert answer["parameters"]["total"] == pytest.approx(406_291_456, rel=0.001)

    def test_a_pasted_config_is_called_by_its_name(self, client: Client) -> None:
        named = client.post("/", {"config": json.dumps(GPT2 | {"_name_or_path": "us/tiny"}), "nodes": "1"})
        assert b"tiny on 1" in client.get(named["Location"]).content

    def test_what_is_wrong_stands_beside_its_field(self, client: Client) -> None:
        response = client.post("/", {"layers": "4", "hidden": "64", "nodes": "1"}, headers=HTMX)
        assert {"heads", "vocab"} <= field_errors(response).keys()
