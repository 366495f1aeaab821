"""The fields of money, each declared once: what one pays and may spend, how often machines are lost.

They are part of the tables of ``planner.contract.fields``.
"""

from __future__ import annotations

from planner.contract.field import Field

MAX_DISCOUNT = 99.0
MAX_USD = 1e15

BUDGET = Field(
    "budget_usd",
    "number",
    "Budget",
    "What the run may cost; the verdict says whether it stays within. A search omits what costs more.",
    unit="dollars",
    maximum=MAX_USD,
    otherwise="none",
    query="budget",
)
#: What a question may say of machines that are taken back.
INTERRUPTION_FIELDS = ("interruptions_per_node_day", "checkpoint_minutes", "restart_minutes", "goodput")
#: Of a cluster, in the order in which a form shows them.
PRICE_FIELDS = (
    Field(
        "usd_per_node_hour",
        "number",
        "Price",
        "What one machine costs you an hour; beside an instance type, in place of the catalog's price.",
        unit="dollars a node-hour",
        maximum=1e7,
        otherwise="the catalog's price; none for machines of one's own",
        query="usd",
    ),
    Field(
        "discount_percent",
        "number",
        "Discount",
        "What your contract with this provider takes off its prices; Compare takes it off all of them.",
        unit="per cent",
        maximum=MAX_DISCOUNT,
        otherwise="none",
        beside="instance_type",
        query="discount",
    ),
    Field(
        "interruptions_per_node_day",
        "number",
        "Interruptions",
        "How often one machine is taken back in a day; each time the run goes on from its last checkpoint.",
        unit="a machine and day",
        maximum=1e3,
        otherwise="for spot, as observed of the machine or its provider; else none",
        query="lost",
    ),
    Field(
        "checkpoint_minutes",
        "number",
        "Checkpoint every",
        "Minutes of work between two checkpoints, where machines are taken back.",
        unit="minutes",
        maximum=1e6,
        otherwise="the interval that loses least",
        query="checkpoint",
    ),
    Field(
        "restart_minutes",
        "number",
        "Restart",
        "From a lost machine until training goes on, where machines are taken back.",
        unit="minutes",
        maximum=1e5,
        otherwise="15",
        query="restart",
    ),
    Field(
        "goodput",
        "number",
        "Kept share of the time",
        "Share of the run's time that goes into steps which are kept (goodput, effective training time); the "
        "rest is failures, restarts, evaluation, saving and waiting. Over 0.9 was published of Llama 3.",
        maximum=1,
        otherwise="1: the steps alone",
        query="goodput",
    ),
)
