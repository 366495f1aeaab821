"""The filters of a search over all of the catalog, each declared once."""

from __future__ import annotations

from planner.contract.field import Field, table
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
)
