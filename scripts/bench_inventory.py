"""How the fleet holds up at 10,000 GPUs: ingest, pages and thinning, with 30 days of history.

`make bench-inventory` runs it on SQLite in a folder of its own, and on PostgreSQL where
BENCH_DATABASE_URL names one (its database is emptied). Prints one line a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).resolve().parent.parent
GPUS_A_HOST = 8
HOSTS_A_BATCH = 100


def main() -> int:
    options = _options()
    os.environ["HEADROOM_DATA"] = tempfile.mkdtemp(prefix="headroom-bench-")
    os.environ["DATABASE_URL"] = options.database
    os.environ["LOG_LEVEL"] = "WARNING"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.core.management import call_command

    from config.prepare import prepare

    call_command("migrate", verbosity=0)
    call_command("flush", verbosity=0, interactive=False)
    prepare()
    Bench(options.hosts, options.days).run()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1250, help=f"hosts with {GPUS_A_HOST} GPUs each")
    parser.add_argument("--days", type=float, default=30, help="days of history, thinned by policy")
    parser.add_argument(
        "--database", default="", help="address of a PostgreSQL that may be emptied; else SQLite"
    )
    return parser.parse_args()


class Bench:
    """One run on one database."""

    def __init__(self, hosts: int, days: float) -> None:
        self.hosts = hosts
        self.days = days
        self.gpus = hosts * GPUS_A_HOST
        self.now = datetime.now(UTC).replace(microsecond=0)

    def run(self) -> None:
        from django.db import connection

        version = (
            connection.Database.sqlite_version if connection.vendor == "sqlite" else connection.pg_version
        )
        print(f"{connection.vendor} {version}: {self.hosts:,} hosts x {GPUS_A_HOST} = {self.gpus:,} GPUs")
        self.add_hosts()
        self.ingest("first interval (every GPU new)", self.now - timedelta(seconds=120))
        self.load_history()
        self.ingest("next interval, with history", self.now - timedelta(seconds=60))
        self.ingest("next interval, with history", self.now)
        self.pages()
        self.thin()

    def add_hosts(self) -> None:
        from inventory.store.models import Host

        Host.objects.bulk_create(Host(name=f"node-{i:04d}") for i in range(self.hosts))
        self.ids = dict(Host.objects.values_list("name", "pk"))

    def bodies(self, when: datetime) -> list[str]:
        """One snapshot a host, as JSON text, as large and as varied as a real one."""
        import random

        dice = random.Random(when.timestamp())
        template = json.loads((ROOT / "tests" / "inventory" / "golden" / "a100-8.json").read_text())
        bodies = []
        for number in range(self.hosts):
            template["host"] |= {"hostname": f"node-{number:04d}", "taken_at": when.isoformat()}
            for gpu in template["gpus"]:
                gpu["uuid"] = f"GPU-{number:04d}-{gpu['index']}"
                gpu["utilization"]["gpu_percent"] = dice.randrange(101)
                gpu["memory"]["used_bytes"] = dice.randrange(40 * 2**30)
                gpu["power"]["usage_w"] = dice.uniform(60, 400)
            bodies.append(json.dumps(template))
        return bodies

    def ingest(self, title: str, when: datetime) -> None:
        from inventory.store.services import Taken, record_snapshots
        from inventory.wire.snapshot_json import from_json, pack_json

        bodies = self.bodies(when)
        size = sum(map(len, bodies)) / len(bodies)
        read_s = write_s = 0.0
        queries = 0
        for start in range(0, len(bodies), HOSTS_A_BATCH):
            began = time.perf_counter()
            parsed = [json.loads(body) for body in bodies[start : start + HOSTS_A_BATCH]]
            read = [(from_json(body), pack_json(body)) for body in parsed]
            read_s += time.perf_counter() - began
            batch = [
                Taken(uuid4(), self.ids[snapshot.host.hostname], snapshot, when, "agent", packed=packed)
                for snapshot, packed in read
            ]
            with _counting() as count:
                began = time.perf_counter()
                record_snapshots(batch, now=when)
                write_s += time.perf_counter() - began
            queries = max(queries, count())
        print(
            f"  ingest, {title}: {self.gpus / write_s:,.0f} GPU snapshots/s recorded,"
            f" {self.gpus / (write_s + read_s):,.0f}/s with reading and checking the JSON"
            f" ({size / 1024:.0f} KiB a host); {queries} statements a batch of {HOSTS_A_BATCH} hosts"
        )

    def load_history(self) -> None:
        """Samples of `days` at 60 s, as the policy would have left them."""
        from django.db import connection

        from inventory.store.models import GpuPlacement, Sample
        from inventory.wire import policy

        GpuPlacement.objects.update(since=self.now - timedelta(days=self.days))
        began = time.perf_counter()
        end_s = int(self.now.timestamp()) - 180
        young = {
            policy.RAW: 0,
            policy.FIVE_MINUTES: policy.KEEP_S[policy.RAW],
            policy.HOURLY: policy.KEEP_S[300],
        }
        # The index by age is built once at the end: kept up row by row it would take most of the time.
        by_age = next(index for index in Sample._meta.indexes if index.name == "sample_by_age")
        with connection.schema_editor() as editor:
            editor.remove_index(Sample, by_age)
        for resolution, from_age_s in young.items():
            step = resolution or 60
            to_age_s = min(policy.KEEP_S[resolution], int(self.days * policy.DAY_S))
            first = (end_s - to_age_s) // step * step
            last = (end_s - from_age_s) // step * step
            if first < last:
                with connection.cursor() as cursor:
                    cursor.execute(_fill(connection.vendor), [resolution, first, last, step])
        with connection.schema_editor() as editor:
            editor.add_index(Sample, by_age)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        rows = Sample.objects.count()
        print(
            f"  history: {rows:,} samples of {self.days:g} days loaded in {time.perf_counter() - began:.0f} s"
        )

    def pages(self) -> None:
        from django.test import Client
        from django.test.utils import override_settings

        with override_settings(ALLOWED_HOSTS=["testserver"]):
            client = Client()
            for title, path in (
                ("fleet", "/fleet/"),
                ("fleet, needs attention", "/fleet/?show=attention"),
                ("fleet, live part", "/fleet/"),
                ("host", "/fleet/hosts/node-0007"),
                ("GPU, 6 hours", "/fleet/gpus/GPU-0007-3?range=6h"),
                ("GPU, 30 days", "/fleet/gpus/GPU-0007-3?range=30d"),
                ("events", "/fleet/events"),
                (
                    "fleet a week ago",
                    f"/fleet/fleet.json?at={(self.now - timedelta(days=7)):%Y-%m-%dT%H:%M:%SZ}",
                ),
                ("metrics", "/metrics"),
            ):
                headers = {"HX-Request": "true"} if "live" in title else {}
                times, queries, size = _timed(lambda p=path, h=headers: client.get(p, headers=h), 7)
                middle, slowest = 1000 * statistics.median(times), 1000 * max(times)
                print(
                    f"  page {title}: {middle:.0f} ms (slowest of {len(times)}: {slowest:.0f}),"
                    f" {queries} queries, {size / 1024:.0f} KiB"
                )

    def thin(self) -> None:
        from inventory.store.services import thin_history

        began = time.perf_counter()
        thinned = thin_history(now=self.now + timedelta(hours=1))
        seconds = time.perf_counter() - began
        print(f"  thinning an hour later: {thinned.samples:,} rows merged or removed in {seconds:.1f} s")


def _fill(vendor: str) -> str:
    from inventory.store.models import Gpu, Sample

    gpu, sample = Gpu._meta.db_table, Sample._meta.db_table
    columns = (
        "gpu_id, resolution_s, at_s, weight, utilization_percent, memory_used_bytes, power_w, temperature_c"
    )
    if vendor == "postgresql":
        times = "SELECT generate_series(%s::bigint, %s::bigint, %s::bigint) AS at_s"
        source = f"WITH given AS (SELECT %s::int AS resolution_s), times AS ({times})"
    else:
        source = (
            "WITH RECURSIVE given(resolution_s) AS (SELECT %s),"
            " bounds(first, last, step) AS (SELECT %s, %s, %s),"
            " times(at_s) AS (SELECT first FROM bounds UNION ALL"
            " SELECT at_s + step FROM times, bounds WHERE at_s + step <= last)"
        )
    values = f"{gpu}.id, resolution_s, at_s, 1, at_s / 60 %% 101, 10000000000 + at_s, 200 + at_s %% 100, 50"
    rows = f"SELECT {values} FROM {gpu} CROSS JOIN given CROSS JOIN times WHERE true ORDER BY {gpu}.id, at_s"
    if vendor == "postgresql":
        return f"{source} INSERT INTO {sample} ({columns}) {rows} ON CONFLICT DO NOTHING"
    return f"INSERT INTO {sample} ({columns}) {source} {rows} ON CONFLICT DO NOTHING"


def _timed(ask: Callable[[], Any], times: int) -> tuple[list[float], int, int]:
    answer = ask()
    assert answer.status_code == 200, answer.content[:300]
    found = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        found.append(time.perf_counter() - began)
    with _counting() as count:
        answer = ask()
    return found, count(), len(answer.content)


@contextmanager
def _counting() -> Iterator[Callable[[], int]]:
    from django.db import connection

    number = 0

    def wrapper(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        nonlocal number
        number += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield lambda: number


if __name__ == "__main__":
    sys.exit(main())
