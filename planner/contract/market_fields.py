"""The filters of a search over all of the catalog, and how it is to search, each field declared once."""

from __future__ import annotations

from planner.contract.field import Field, table
from planner.contract.price_fields import INTERRUPTION_FIELDS, PRICE_FIELDS
from planner.engine.question import words

MAX_NODES = 100_000
MAX_LISTED = 500

ANY = table(
    "search.cluster.any",
    Field("providers", "names", "Providers", "Providers to look at.", maximum=MAX_LISTED, otherwise="all"),
    Field(
        "regions",
        "names",
        "Regions",
        "Regions to buy in.",
        maximum=MAX_LISTED,
        otherwise="each provider's default, or the first that has the machine",
    ),
    Field("accelerators", "names", "Accelerators", "Chips to look at.", maximum=MAX_LISTED, otherwise="all"),
    Field(
        "families", "names", "Families", "Machine families, such as p5.", maximum=MAX_LISTED, otherwise="all"
    ),
    Field(
        "purchases",
        "names",
        "Purchases",
        "Ways to pay.",
        choices=words.PURCHASES,
        maximum=MAX_LISTED,
        otherwise="on demand, or a capacity block where that alone is sold",
    ),
    Field(
        "nodes",
        "wholes",
        "Nodes",
        "Numbers of nodes to try.",
        maximum=MAX_NODES,
        default=(1, 2, 4, 8, 16, 32, 64),
    ),
    Field("price_as_of", "date", "Prices as of", "A day: prices as they were known then.", otherwise="today"),
    Field(
        "available_only",
        "flag",
        "Only what can be had",
        "Leave out machines that are not known to be offered in a region, and clusters larger than are sold.",
        default=False,
    ),
    Field(
        "discounts",
        "object",
        "Discounts",
        "What your contracts take off a provider's prices, in per cent by provider.",
        otherwise="none",
    ),
    Field(
        "own_prices",
        "object",
        "Prices of your own",
        "What a machine costs you, in dollars a node-hour by instance type: one offer in place of the"
        " catalog's.",
        otherwise="the catalog's prices",
    ),
    *(field for field in PRICE_FIELDS if field.name in INTERRUPTION_FIELDS),
)

#: What a search may be asked beside its machines, its objective and its limits.
SEARCHED: tuple[Field, ...] = (
    Field(
        "frameworks",
        "names",
        "Stacks",
        "Training stacks to try beside the workload's own.",
        choices=words.FRAMEWORKS,
        maximum=MAX_LISTED,
        otherwise="the workload's own alone, unless vary names framework",
    ),
    Field(
        "precisions",
        "names",
        "Precisions",
        "Precisions to try beside the workload's own, on machines that have a unit for them.",
        choices=words.PRECISIONS,
        maximum=MAX_LISTED,
        otherwise="the workload's own alone, unless vary names precision",
    ),
    Field(
        "exact",
        "flag",
        "Count all",
        "Look at every layout, also where a bound of time and cost shows that none of them can be shown.",
        default=False,
        otherwise="up to 200,000 layouts all are looked at; of more, those that a bound cannot rule out",
    ),
    Field(
        "why_not",
        "any",
        "Why not",
        "Plans to hold against the answer, each told what keeps it from being the best, and by how much: a"
        ' list of {"cluster": {…}, "layout": {…}}, without a layout where the best one is meant.',
        maximum=MAX_LISTED,
    ),
    Field(
        "stream",
        "flag",
        "Stream",
        "Answer in JSON Lines: how far the search is and the front so far, then the response.",
        default=False,
    ),
)
