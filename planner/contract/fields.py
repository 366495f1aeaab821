"""The fields of the JSON contract, each declared once.

Reading a request, the planning form with its help, the API's JSON Schema and docs/contract.md are made from
these tables; to add a field, add it here and to the engine's record of its section. The words of choices are
``planner.engine.question.words``; the fields of an explicit model are ``planner.engine.shape.explicit``'s.
"""

from __future__ import annotations

from typing import get_args

from planner.contract.card_fields import CARD
from planner.contract.field import Field, Table, table
from planner.contract.market_fields import ANY, MAX_LISTED, MAX_NODES, SEARCHED
from planner.contract.price_fields import BUDGET, PRICE_FIELDS
from planner.contract.rl_fields import GENERATION, PPO
from planner.contract.running_fields import MOE, SEQUENCES
from planner.contract.shape_fields import SHAPE
from planner.contract.workload_fields import WORKLOAD
from planner.engine.question import words
from planner.engine.question.search_request import Variable

MAX_DEGREE = 1_000_000_000
"""More than the ranks of 100,000 nodes with 1,024 accelerators each."""
MAX_DAYS = 1e6
ON_ITS_OWN = "Automatic"
OWN_MACHINES = (
    "Machines that the catalog lacks go into cluster.accelerator with accelerators_per_node, nodes, "
    "internode_gbps_per_node and usd_per_node_hour."
)
OWN_CARD = (
    "A card that the catalog lacks goes in as an object: {"
    '"name", "memory_bytes", "bf16_flops_per_s", "memory_bandwidth_bytes_per_s", "link_bytes_per_s", "like"}.'
)
TWO_FORMS = (
    'Give instance_type, for example {"instance_type": "p5.48xlarge", "nodes": 16}, or accelerator, '
    "accelerators_per_node, nodes, internode_gbps_per_node and usd_per_node_hour."
)
MODEL_FORMS = 'Give a catalog name such as "llama-3.1-8b", {"hf_config": {…}} or an architecture.'

ID = Field("id", "any", "Id", "Anything; echoed in the answer, so that answers can be told apart.")
MODEL = Field(
    "model",
    "model",
    "Model",
    "What is trained: a model of the catalog, or the Hugging Face config of one.",
    required=True,
    remedy=MODEL_FORMS,
    query="model",
)
WORKLOAD_OBJECT = Field(
    "workload",
    "object",
    "Workload",
    "What the model is trained on, and how.",
    required=True,
    remedy="Give at least task, tokens, sequence_length and global_batch_size.",
)
DEADLINE = Field(
    "deadline_days",
    "number",
    "Deadline",
    "With automatic nodes: the fewest nodes that finish within these days. A search leaves out what takes "
    "longer.",
    unit="days",
    maximum=MAX_DAYS,
    otherwise="none",
    query="deadline",
)

REQUEST = table(
    "",
    ID,
    MODEL,
    WORKLOAD_OBJECT,
    Field(
        "cluster",
        "object",
        "Machines",
        "The machines: an instance type that one can buy, or machines of one's own described freely.",
        required=True,
        remedy='Give for example {"instance_type": "p5.48xlarge", "nodes": 16}.',
    ),
    Field(
        "layout",
        "object",
        "Layout",
        'How the run is split over the machines: "auto", or the parts that are to be so; the rest is chosen.',
        otherwise=ON_ITS_OWN,
    ),
    DEADLINE,
    BUDGET,
    hints={
        "objective": "It belongs to search; estimate answers about one plan.",
        "nodes": "It belongs to the cluster: cluster.nodes.",
        "instance_type": "It belongs to the cluster: cluster.instance_type.",
    },
)

PASTED_MODEL = table(
    "model",
    Field(
        "hf_config",
        "object",
        "Hugging Face config.json",
        "The content of the model's config.json, up to 4 MiB, braces included. It wins over the name.",
        required=True,
        query="config",
    ),
    Field(
        "name",
        "text",
        "Name of the model",
        "What a pasted or own model is called in the answer; left out, a config's own name.",
        otherwise="its own name",
        query="name",
    ),
)

_HINTS = {
    "gpus": "Use accelerators_per_node and nodes.",
    "accelerators": "Use accelerators_per_node and nodes.",
    "instance": "Use instance_type.",
    "count": "Use nodes.",
}
CLUSTER = table(
    "cluster",
    Field(
        "instance_type",
        "text",
        "Instance type",
        "A machine that one can buy, by its provider's name.",
        remedy=TWO_FORMS,
        beside="instance_type",
        query="instance",
    ),
    Field(
        "region",
        "text",
        "Region",
        "Where it is bought, for the price. Empty: the provider's default.",
        otherwise="the provider's default",
        beside="instance_type",
        query="region",
    ),
    Field(
        "purchase",
        "choice",
        "Purchase",
        "How it is paid for; prices differ up to threefold.",
        choices=words.PURCHASES,
        default="on_demand",
        beside="instance_type",
        query="buy",
    ),
    Field(
        "accelerator",
        "card",
        "Accelerator",
        "Machines of one's own: the chip in them, by its name in the catalog or as an object.",
        remedy=TWO_FORMS,
        beside="accelerator",
        query="chip",
    ),
    Field(
        "accelerators_per_node",
        "whole",
        "Per node",
        "How many accelerators one machine holds.",
        maximum=1024,
        required=True,
        beside="accelerator",
        query="per_node",
    ),
    Field(
        "nodes",
        "nodes",
        "Nodes",
        "How many machines, or “auto” for the fewest that fit.",
        unit="or “auto”",
        maximum=MAX_NODES,
        required=True,
        remedy='Give a whole number of nodes, or "auto" for the fewest that fit.',
        query="nodes",
    ),
    Field(
        "internode_gbps_per_node",
        "number",
        "Network",
        "The network of one whole machine in one direction; one machine alone needs none.",
        unit="Gbit/s a node",
        maximum=1e7,
        remedy="Give the network of one node, one direction, in gigabits a second.",
        beside="accelerator",
        query="gbps",
    ),
    *PRICE_FIELDS,
    Field(
        "mig_profile",
        "text",
        "MIG profile",
        "Runs on GPU instances cut from each chip, such as 3g.40gb.",
        otherwise="whole chips",
        query="mig",
    ),
    Field(
        "host_memory_bytes",
        "number",
        "Host memory",
        "Memory of one machine's CPUs, against which offload is checked.",
        unit="bytes a node",
        maximum=1e15,
        otherwise="the instance type's, or not checked",
        query="host_memory",
    ),
    Field(
        "host_memory_bandwidth_bytes_per_s",
        "number",
        "Host memory bandwidth",
        "Of all CPU sockets of one machine together: it bounds the step of an offloaded optimizer.",
        unit="bytes/s a node",
        maximum=1e15,
        otherwise="that of today's two-socket servers",
        query="host_bandwidth",
    ),
    Field(
        "power_limit_watts",
        "number",
        "Power limit",
        "What one accelerator may draw, where it is held below its own limit.",
        unit="watts",
        maximum=1e5,
        otherwise="the accelerator's own",
        query="watts",
    ),
    Field(
        "matmul_flops_per_s",
        "number",
        "Measured matrix products",
        "What large bf16 matrix products reach on one of these accelerators, measured while all of them "
        "work. Machines of one kind differ by power and cooling; this replaces the usual rate of their kind.",
        unit="FLOP/s an accelerator",
        maximum=1e18,
        otherwise="the usual rate of its kind",
        query="measured",
    ),
    Field(
        "fabric",
        "choice",
        "Network kind",
        "What joins the machines: its share of the line rate in collectives differs by kind.",
        choices=words.FABRICS,
        otherwise="the instance type's, InfiniBand for machines of one's own",
        query="fabric",
    ),
    Field(
        "price_as_of",
        "date",
        "Prices as of",
        "A day, such as 2025-06-05: prices as they were known then.",
        otherwise="today",
        query="price_on",
    ),
    hints=_HINTS,
)
#: What to say to a field of the other description, by the one that was chosen.
OTHER_DESCRIPTION = {
    "instance_type": "The instance type says it; to describe a node freely, use accelerator in place of "
    "instance_type.",
    "accelerator": "It only goes with instance_type; a free description has its price in usd_per_node_hour.",
}

LAYOUT = table(
    "layout",
    Field(
        "tensor_parallel",
        "whole",
        "Tensor",
        "Into how many parts each layer is split; best within one node.",
        maximum=MAX_DEGREE,
        otherwise=ON_ITS_OWN,
        query="tp",
    ),
    Field(
        "sequence_parallel",
        "flag",
        "Sequence parallel",
        "Splits the activations between tensor-parallel parts along the sequence as well.",
        otherwise=ON_ITS_OWN,
        query="sp",
    ),
    Field(
        "pipeline_parallel",
        "whole",
        "Pipeline",
        "Into how many stages of consecutive layers the model is split.",
        maximum=MAX_DEGREE,
        otherwise=ON_ITS_OWN,
        query="pp",
    ),
    Field(
        "interleaved_stages",
        "whole",
        "Interleaved",
        "Chunks of layers that each pipeline rank holds: more shrink the bubble and communicate more.",
        maximum=MAX_DEGREE,
        otherwise=ON_ITS_OWN,
        query="vp",
    ),
    Field(
        "context_parallel",
        "whole",
        "Context",
        "Into how many parts each sequence is split, for long ones.",
        maximum=MAX_DEGREE,
        otherwise=ON_ITS_OWN,
        query="cp",
    ),
    Field(
        "expert_parallel",
        "whole",
        "Expert",
        "Over how many ranks the experts of a mixture are spread.",
        maximum=MAX_DEGREE,
        otherwise=ON_ITS_OWN,
        query="ep",
    ),
    Field(
        "data_parallel",
        "whole",
        "Data",
        "How many replicas share the batch.",
        maximum=MAX_DEGREE,
        otherwise="the accelerators left",
        query="dp",
    ),
    Field(
        "sharding",
        "choice",
        "Sharding",
        "What data-parallel ranks split among them rather than each hold whole.",
        choices=words.SHARDINGS,
        otherwise=ON_ITS_OWN,
        query="sharding",
    ),
    Field(
        "sharding_group",
        "whole",
        "Sharding group",
        "Over how many ranks states are sharded; fewer than all keeps the traffic near.",
        maximum=MAX_DEGREE,
        otherwise="all data-parallel ranks",
        query="group",
    ),
    Field(
        "micro_batch_size",
        "whole",
        "Micro-batch",
        "Sequences that one replica computes at once.",
        maximum=MAX_DEGREE,
        otherwise=ON_ITS_OWN,
        query="mbs",
    ),
    Field(
        "gradient_accumulation",
        "whole",
        "Accumulate",
        "Micro-batches that one replica adds up before the optimizer steps.",
        maximum=MAX_DEGREE,
        otherwise="follows from batch, replicas and micro-batch",
        query="ga",
    ),
    Field(
        "activation_recompute",
        "choice",
        "Recompute",
        "As in the workload, over which it wins; an answer's layout has it, so that it can be sent back.",
        choices=words.RECOMPUTES,
        otherwise="the workload's",
    ),
)

#: The parts of a layout that a search may choose.
LAYOUT_VARIABLES: tuple[str, ...] = tuple(name for name in get_args(Variable) if name in LAYOUT.names)
#: ... and what of the run may be chosen with it, where it is named.
VARIABLES: dict[str, words.Word] = {
    **{name: words.Word(LAYOUT[name].label) for name in LAYOUT_VARIABLES},
    "framework": words.Word("Stack"),
    "precision": words.Word("Precision"),
}

SEARCH = table(
    "search",
    ID,
    MODEL,
    WORKLOAD_OBJECT,
    Field(
        "cluster",
        "any",
        "Machines",
        'A list of clusters, or {"any": {…}} for all of the catalog that passes its filters.',
        required=True,
        remedy='Give a list of clusters, or {"any": {"providers": ["aws"], "nodes": [1, 2, 4, 8]}}.',
    ),
    Field(
        "objective",
        "choice",
        "Objective",
        "What counts as better: cheaper, quicker, or both in balance.",
        choices=words.OBJECTIVES,
        default="cost",
    ),
    DEADLINE,
    BUDGET,
    Field(
        "max_nodes",
        "whole",
        "Most nodes",
        "Clusters with more are left out.",
        maximum=MAX_NODES,
        default=MAX_NODES,
    ),
    Field("limit", "whole", "Limit", "How many plans the answer lists.", maximum=1000, default=20),
    Field(
        "vary",
        "names",
        "Vary",
        "The parts of a layout that may be chosen; what is left out keeps its default. Named beside them,"
        " framework tries every stack and precision tries bf16, fp16 and fp8, where the machine has them.",
        choices=VARIABLES,
        maximum=MAX_LISTED,
        otherwise="all parts of a layout",
    ),
    *SEARCHED,
    hints={"layout": "Remove it: the search chooses it. Use estimate to ask about one layout."},
)

ESTIMATE: tuple[Table, ...] = (
    *(REQUEST, PASTED_MODEL, SHAPE, WORKLOAD, SEQUENCES, MOE, PPO, GENERATION),
    *(CLUSTER, CARD, LAYOUT),
)
TABLES: tuple[Table, ...] = (*ESTIMATE, SEARCH, ANY)
#: The fields that a page's address may hold, by their short names.
BY_QUERY: dict[str, Field] = {
    field.query: field for table in ESTIMATE for field in table.fields if field.query
}
