"""What the catalog's pages show: ages in words, prices in a currency, facts with their units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone

from planner.catalog.changes.models import ExchangeRate
from planner.catalog.changes.selectors import SourceAge
from planner.catalog.facts.owning import OwnedNode, trace
from planner.catalog.facts.records import STALE_PRICE_DAYS, ModelRecord
from planner.catalog.facts.shapes import built_model
from planner.catalog.models import Accelerator, InstanceType, Price, TransformerModel
from planner.catalog.pages.evidence import ChipAsked
from planner.catalog.rows import model_record
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.result import Term
from planner.engine.question.words import PAYMENT_OPTIONS, PURCHASES
from planner.engine.shape.parameters import count_parameters

CSV_COLUMNS = (
    "instance", "provider", "accelerator", "accelerators", "region", "purchase", "payment_option",
    "negotiated",
    "usd_per_hour", "usd_per_hour_low", "usd_per_hour_high", "usd_per_accelerator_hour", "currency",
    "price_per_hour",
    "per_usd", "rate_of", "valid_from", "valid_to", "as_of", "seen_on", "source", "note",
)  # fmt: skip
FLOATS = ("fp32", "tf32", "bf16", "fp16", "fp8", "fp4")
MODEL_VALUES = ("slug", *TransformerModel.FACTS, "source", "as_of", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """A currency to show prices in, by a dated rate; US dollars where there is none."""

    currency: str = "USD"
    per_usd: float = 1.0
    day: date | None = None
    source: str = ""

    def of(self, usd: Decimal | float) -> str:
        """An amount with the digits it has in dollars, or four in another currency."""
        if self.currency == "USD":
            exact = Decimal(str(usd)).normalize()
            return f"{exact:f}" if exact != round(exact, 2) else f"{exact:.2f}"
        return f"{float(usd) * self.per_usd:.4f}"


def money_of(rate: ExchangeRate | None) -> Money:
    """The currency of a rate."""
    if rate is None:
        return Money()
    return Money(currency=rate.currency, per_usd=rate.per_usd, day=rate.day, source=rate.source)


def price_line(price: Price, money: Money, today: date) -> dict[str, Any]:
    """One line of a table of prices."""
    seen = max(price.as_of, price.seen_on or price.as_of)
    chips = price.instance_type.accelerators_per_node
    return {
        "pk": price.pk,
        "instance": price.instance_type_id,
        "accelerator": price.instance_type.accelerator_id,
        "chips": chips,
        "region": price.region,
        "purchase": PURCHASES[price.purchase].label,
        "payment": PAYMENT_OPTIONS[price.payment_option].label if price.payment_option else "",
        "negotiated": price.negotiated,
        "usd": money.of(price.usd_per_hour),
        "usd_chip": money.of(round(price.usd_per_hour / chips, 4)),
        "zones": ""
        if price.usd_per_hour_low is None or price.usd_per_hour_high is None
        else f"{money.of(price.usd_per_hour_low)} to {money.of(price.usd_per_hour_high)}",
        "valid_from": price.valid_from,
        "valid_to": price.valid_to,
        "seen": seen,
        "stale": (today - seen).days > STALE_PRICE_DAYS,
        "source": price.source,
        "note": price.note,
    }


def trace_of(row: Price) -> tuple[Term, ...]:
    """How a price was computed from the owner's figures; nothing for one that somebody lists."""
    return trace(OwnedNode.of(row.computed_from)) if row.computed_from else ()


def price_csv(prices: Iterable[Price], money: Money) -> Iterator[Sequence[Any]]:
    """The same as exact values."""
    yield CSV_COLUMNS
    for price in prices:
        chips = price.instance_type.accelerators_per_node
        yield (
            price.instance_type_id, price.instance_type.provider, price.instance_type.accelerator_id, chips,
            price.region, price.purchase, price.payment_option, price.negotiated, price.usd_per_hour,
            price.usd_per_hour_low, price.usd_per_hour_high, float(price.usd_per_hour) / chips,
            money.currency,
            float(price.usd_per_hour) * money.per_usd, money.per_usd, money.day, price.valid_from,
            price.valid_to,
            price.as_of, price.seen_on, price.source, price.note,
        )  # fmt: skip


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago in words."""
    if moment is None:
        return "never"
    since = now - moment
    if since < timedelta(hours=2):
        return f"{max(1, int(since.total_seconds() // 60))} min ago"
    return (
        f"{int(since.total_seconds() // 3600)} h ago"
        if since < timedelta(days=2)
        else f"{since.days} days ago"
    )


def source_lines(
    listed: Sequence[tuple[str, str, int]], ages: Sequence[SourceAge], now: datetime
) -> list[dict[str, Any]]:
    """One line a source: how old, how it went, how far a running refresh is."""
    lines = []
    for (slug, title, hours), known in zip(listed, ages, strict=True):
        last = known.last
        lost = last is not None and last.is_lost(now)
        running = last is not None and last.state == "running" and not lost
        share = None
        if running and last is not None and last.expected:
            share = round(100 * last.done / last.expected)
        lines.append(
            {
                "slug": slug,
                "title": title,
                "every": f"{hours} h" if hours < 48 else f"{hours // 24} days",
                "age": age(known.good_at, now),
                "old": known.good_at is None or now - known.good_at > timedelta(hours=2 * hours),
                "failures": known.failures,
                "last": last,
                "running": running,
                "lost": lost,
                "state": "ended without a word" if lost else last.get_state_display() if last else "",
                "share": share,
            }
        )
    return lines


def instance_facts(row: InstanceType) -> list[tuple[str, str]]:
    """A machine's facts with their units."""
    facts: list[tuple[str, Any, str]] = [
        ("Accelerators", f"{row.accelerators_per_node} × {row.accelerator.name}", ""),
        ("Network, one direction", row.internode_gbit_per_s, "Gbit/s"),
        (
            "Link within the node, one direction",
            row.link_gb_per_s_per_direction or row.accelerator.link_gb_per_s_per_direction,
            "GB/s",
        ),
        ("vCPUs", row.vcpus, ""),
        ("Host memory", row.host_memory_gib, "GiB"),
        ("Local storage", row.local_storage_gb, "GB"),
        ("Largest cluster", row.ultracluster_max_accelerators, "chips"),
    ]
    return [(name, _with_unit(value, unit)) for name, value, unit in facts]


def clone_query(row: InstanceType) -> str:
    """The facts of a machine as a query that fills the form of a new one; the editor names it."""
    facts = {name.removesuffix("_id"): getattr(row, name) for name in row.FACTS}
    chip = facts.pop("accelerator")
    return urlencode(
        {name: value for name, value in facts.items() if value is not None}
        | {"accelerator": chip, "source": f"As {row.slug}", "as_of": timezone.localdate().isoformat()}
    )


def accelerator_facts(row: Accelerator) -> list[tuple[str, str]]:
    """A chip's facts with their units; peaks are dense."""
    facts: list[tuple[str, Any, str]] = [
        ("Architecture", row.architecture, ""),
        ("Memory, as the driver reports it", row.memory_mib, "MiB"),
        ("Memory bandwidth", row.memory_bandwidth_gb_per_s, "GB/s"),
        ("Link, one direction", row.link_gb_per_s_per_direction, f"GB/s ({row.link})"),
        ("Power", row.power_watts, "W"),
        ("Ranks a chip", row.ranks_per_accelerator, ""),
    ]
    return [(name, _with_unit(value, unit)) for name, value, unit in facts]


def chip_asked(row: Accelerator, per_node: int | None = None) -> ChipAsked:
    """The chip, or a machine of so many of it, as those who know of runs are asked."""
    peaks = {name: value for name in FLOATS if (value := getattr(row, f"{name}_tflops"))}
    return ChipAsked(slug=row.slug, name=row.name, peaks_tflops=peaks, per_node=per_node)


def record_of(row: TransformerModel) -> ModelRecord:
    """A model's row as a record."""
    return model_record({name: getattr(row, name) for name in MODEL_VALUES})


def model_facts(row: TransformerModel) -> list[tuple[str, str, str]]:
    """A model's facts as (name, value, who counted); the counts are made from its shape."""
    published = f"{row.parameters:,}" if row.parameters else "no source states them exactly"
    facts = [("Parameters, published", published, row.parameters_source)]
    try:
        model = built_model(record_of(row))
        counted = count_parameters(model)
    except (PlanError, PlanErrors) as problem:
        facts.append(("Parameters, counted", "cannot be counted", str(problem)))
    else:
        facts.append(("Parameters, counted", f"{counted.total:,}", "from its shape, below"))
        if counted.active != counted.total:
            facts.append(("Active per token", f"{counted.active:,}", "from its shape, below"))
        blocks = f"{model.layers:,}" + (f" and {model.decoder_layers:,}" if model.decoder_layers else "")
        facts += [("Blocks", blocks, ""), ("Hidden width", f"{model.hidden_size:,}", "")]
        if model.experts:
            facts.append(("Experts", f"{model.experts:,}, {model.experts_per_token:,} of them a token", ""))
    context = f"{row.max_context:,} tokens" if row.max_context else "not known"
    return [*facts, ("Longest context", context, "")]


def rates(row: Accelerator) -> list[tuple[str, str]]:
    """Dense peaks by precision; a dash where the chip has no such unit."""
    found = [(name, _with_unit(getattr(row, f"{name}_tflops"), "TFLOPS")) for name in FLOATS]
    return [*found, ("int8", _with_unit(row.int8_tops, "TOPS"))]


def _with_unit(value: Any, unit: str) -> str:
    if value in (None, ""):
        return "not known" if unit != "TFLOPS" and unit != "TOPS" else "–"
    text = f"{value:,.10g}" if isinstance(value, int | float) else str(value)
    return f"{text} {unit}".strip()
