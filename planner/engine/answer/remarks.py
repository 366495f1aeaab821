"""What an answer says in words beside its numbers: why a plan does not fit, and what to be warned of."""

from __future__ import annotations

from planner.engine.choose.plan import Choice
from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.question.request import Layout, PlanRequest, Workload
from planner.engine.question.result import Cost, Memory, Time, Warning
from planner.engine.run.length import SECONDS_PER_DAY
from planner.engine.run.money import why_not_sold

#: Host memory with pinned and working buffers, over the states alone: DeepSpeed's estimators add this factor
#: (runtime/zero/stage_1_and_2.py, additional_buffer_factor), and runs of 7B models took 24 bytes a parameter.
HOST_BUFFERS = 1.5
#: Parts of the memory that a change of the plan changes; what the driver and the allocator take does not.
PARTS_OF_THE_PLAN = ("weights", "gradients", "optimizer_states", "activations", "logits", "temporary")


def reason(memory: Memory, layout: Layout) -> str:
    """Why the plan does not fit: what is lacking where, and the largest part of the need."""
    parts, usable = memory.per_accelerator_bytes, memory.usable_bytes
    host = memory.host_usable_bytes
    if parts.total <= usable and host is not None:
        return (
            f"each node's host memory lacks {memory.host_bytes - host:,.0f} bytes: what is offloaded needs "
            f"{memory.host_bytes / 2**30:.1f} GiB of it and it has {host / 2**30:.1f} GiB."
        )
    lacking = parts.total - usable
    stages = layout.pipeline_parallel
    of = f"pipeline stage {memory.worst_stage + 1} of {stages}" if stages > 1 else "each accelerator"
    largest = max(PARTS_OF_THE_PLAN, key=lambda name: getattr(parts, name))
    return (
        f"{of} lacks {in_words(lacking)}: it needs {in_words(parts.total)} and has {in_words(usable)};"
        f" the largest part is {largest.replace('_', ' ')} with {in_words(getattr(parts, largest))}."
    )


def in_words(memory_bytes: float) -> str:
    """Bytes as people say them: GiB, below a tenth of one MiB, and below one MiB in words."""
    if memory_bytes < 2**20:
        return "less than 1 MiB"
    return (
        f"{memory_bytes / 2**20:.0f} MiB" if memory_bytes < 0.1 * 2**30 else f"{memory_bytes / 2**30:.1f} GiB"
    )


def warnings_of(
    choice: Choice, grid: PlanGrid, *, time: Time, cost: Cost | None, far: tuple[str, ...]
) -> tuple[Warning, ...]:
    """far: what of the plan lies outside everything that was measured."""
    request = choice.request
    found = [Warning(code=code, message=message) for code, message in request.notes]
    if request.cluster.usd_per_node_hour is None and not any(warning.code == "no_price" for warning in found):
        found.append(
            Warning(code="no_price", message="No price is known for these machines, so there is no cost.")
        )
    asked_for, known_on = request.cluster.price_asked_as_of, request.cluster.price_as_of
    if asked_for is not None and known_on is not None and asked_for < known_on:
        found.append(
            Warning(
                code="price_from_later",
                message=f"No price of {asked_for:%d %B %Y} is known; the oldest known one, of "
                f"{known_on:%d %B %Y}, stands in.",
            )
        )
    if choice.idle_ranks:
        found.append(idle_warning(choice, grid))
    if meets_deadline(request, time) is False:
        assert request.deadline_days is not None
        found.append(deadline_warning(choice, request.deadline_days, time.total_s))
    if meets_budget(request, cost) is False:
        assert cost is not None
        message = f"The run costs {cost.usd:,.0f} USD, more than the budget of {request.budget_usd:,.0f} USD."
        found.append(Warning(code="budget_missed", message=message))
    if reason_not_sold := unavailable(request, time):
        found.append(Warning(code="unavailable", message=reason_not_sold))
    elif cost is not None and (cost.blocks or 0) > 1:
        found.append(Warning(code="several_blocks", message=blocks_message(request, cost)))
    if far:
        found.append(
            Warning(
                code="extrapolating",
                message="Outside what was measured, so the ranges are wider: " + "; ".join(far) + ".",
            )
        )
    return tuple(found)


def host_warnings(workload: Workload, memory: Memory) -> list[Warning]:
    """Offload to a host whose memory is not known, or so full that buffers may not fit beside it."""
    if not workload.offload:
        return []
    needs = f"What is offloaded takes {memory.host_bytes / 2**30:.0f} GiB of each node's host memory"
    if memory.host_usable_bytes is None:
        unknown = f"{needs}, which is not known here; give cluster.host_memory_bytes to have it checked."
        return [Warning(code="host_memory_unknown", message=unknown)]
    if memory.host_bytes <= memory.host_usable_bytes < HOST_BUFFERS * memory.host_bytes:
        tight = (
            f"{needs} of {memory.host_usable_bytes / 2**30:.0f} GiB; with the stack's buffers it may take up "
            "to half as much again."
        )
        return [Warning(code="host_memory_tight", message=tight)]
    return []


def unavailable(request: PlanRequest, time: Time) -> str:
    """Why these machines cannot be bought so, "" where they can."""
    return why_not_sold(request.cluster.nodes or 1, time.total_s, request.cluster.sale)


def meets_deadline(request: PlanRequest, time: Time) -> bool | None:
    """Whether the run ends in time; None without a deadline."""
    deadline = request.deadline_days
    return None if deadline is None else time.total_s <= deadline * SECONDS_PER_DAY


def meets_budget(request: PlanRequest, cost: Cost | None) -> bool | None:
    """Whether the run costs no more than it may; None without a budget, or where no price is known."""
    return None if request.budget_usd is None or cost is None else cost.usd <= request.budget_usd


def blocks_message(request: PlanRequest, cost: Cost) -> str:
    """That so many machines are several blocks, which need not stand together."""
    blocks = request.cluster.sale.blocks
    assert blocks is not None
    return (
        f"{request.cluster.nodes:,} instances are {cost.blocks} capacity blocks of at most"
        f" {blocks.nodes_a_block}: they have to start on the same day in the same zone to work on one run."
    )


def idle_warning(choice: Choice, grid: PlanGrid) -> Warning:
    """Ranks without work that are billed all the same, or GPU instances left to other jobs."""
    request = choice.request
    available = int(request.cluster.nodes or 1) * int(grid.ranks_per_node)
    profile = request.cluster.mig_profile
    if profile is not None:
        message = (
            f"The run takes {available - choice.idle_ranks} of the {available} GPU instances of"
            f" {profile.profile} "
            "that these machines hold; the cost is that of the whole machines. Ask for more with"
            " data_parallel."
        )
    else:
        message = (
            f"{choice.idle_ranks} of {available} ranks have no work: a batch of"
            f" {request.workload.global_batch_size} "
            "sequences cannot use them, but they are billed. Use fewer nodes or a larger global batch."
        )
    return Warning(code="idle_accelerators", message=message)


def deadline_warning(choice: Choice, deadline_days: float, total_s: float) -> Warning:
    """The run takes longer than was asked for, and whether more nodes would help."""
    days = total_s / SECONDS_PER_DAY
    message = f"The run takes {days:.4g} days, more than the deadline of {deadline_days:g} days."
    if choice.late:
        message += (
            " No number of nodes that this batch can use meets it; a larger global batch could use more."
        )
    return Warning(code="deadline_missed", message=message)
