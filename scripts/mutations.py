"""Hand-made mistakes, one to a line: what a formula would look like with a factor dropped or a side mixed up.

Each has a text that stands exactly once in its file (``tests/test_mutants.py``), what to put there instead,
and the test files beside it, which are to notice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """path, tests: from the root of the repository.  says: the mistake in words."""

    path: str
    says: str
    old: str
    new: str
    tests: tuple[str, ...]


def mistakes(path: str, test: str, *each: tuple[str, str, str]) -> list[Mutation]:
    """each: (in words, old, new)."""
    return [Mutation(path, says, old, new, (test,)) for says, old, new in each]


TIME, MEMORY = "planner/engine/time", "planner/engine/memory"
TESTS = "tests/engine"

MUTATIONS: list[Mutation] = [
    *mistakes(
        f"{TIME}/flops.py", f"{TESTS}/time/test_flops.py",
        ("no mask skipped", "(1.0 - 0.5 * skipped)", "(1.0 - 0.25 * skipped)"),
        ("the wider of window and mask", "smaller(full, window)", "larger(full, window)"),
        ("one FLOP a multiply-add", "return 2.0 * tokens * weights / tensor_parallel", "return tokens * weights / tensor_parallel"),
        ("attention not split", "* grid.attention_heads * widths / grid.tensor_parallel", "* grid.attention_heads * widths"),
        ("no shared expert", "+ grid.shared_expert_matmul + grid.router_matmul", "+ grid.router_matmul"),
        ("frozen as trained", "where(grid.frozen > 0, 4.0, 6.0)", "where(grid.frozen > 0, 6.0, 6.0)"),
    ),
    *mistakes(
        f"{TIME}/kernels.py", f"{TESTS}/time/test_kernels.py",
        ("a sum for a root of squares", "np.sqrt(first * first + second * second)", "first + second"),
        ("inner sides alone saturate", "(1.0 / m + 1.0 / k + 1.0 / n)", "(1.0 / m + 1.0 / k)"),
        ("aligned where either side is", "is_multiple(inner, 64.0) & is_multiple(columns, 64.0)", "is_multiple(inner, 64.0) | is_multiple(columns, 64.0)"),
        ("output not written", "inner * columns + rows * columns) * grid.element_bytes", "inner * columns) * grid.element_bytes"),
        ("inner width not split", "+ (heads + inner) / grid.tensor_parallel", "+ (heads + inner)"),
        ("a cast that writes nothing", "nbytes = 3.0 * operand_elements", "nbytes = 2.0 * operand_elements"),
        ("unpacked weights not written", "weights * (grid.frozen_bytes + 2.0)", "weights * (grid.frozen_bytes)"),
    ),
    *mistakes(
        f"{TIME}/attention.py", f"{TESTS}/time/test_attention.py",
        ("narrow heads faster", "* share / slower", "* share * slower"),
        ("short sequences as fast", "/ (1.0 + half / larger(tokens, 1.0))", ""),
        ("a padded head at no cost", "published * grid.head_dim / tiled", "published"),
        ("a mask at no cost", "attention_rates.CAUSAL_TOKENS * grid.causal", "0.0 * grid.causal"),
        ("fp32 queries in 16 bits", "where(wide, WIDE_RATIO, 1.0)", "1.0"),
        ("autocast's softmax in 16 bits", "where(grid.autocast > 0, AUTOCAST_SCORES, 1.0)", "1.0"),
        ("scores of all ranks", "* keys * grid.attention_heads / grid.tensor_parallel", "* keys * grid.attention_heads"),
        ("flash backward as unfused", "flops.FLASH_BACKWARD * operations", "flops.BACKWARD_MATMULS * operations"),
    ),
    *mistakes(
        f"{TIME}/block.py", f"{TESTS}/time/test_block.py",
        ("all queries on each rank", "        queries=sequence / grid.context_parallel,\n        keys=sequence * grid", "        queries=sequence,\n        keys=sequence * grid"),
        ("cross-attention on targets alone", "0.5 * (targets + tokens), grid.cross", "targets, grid.cross"),
        ("a source masked by targets", "keys_met=grid.sequence_length,", "keys_met=sequence,"),
        ("up projection one too wide", "mlp.weights / hidden / split - down, 0.0", "mlp.weights / hidden / split, 0.0"),
    ),
    *mistakes(
        f"{TIME}/experts.py", f"{TESTS}/time/test_experts.py",
        ("groups of all experts", "copies * grid.expert_parallel / experts", "copies / experts"),
        ("experts not split", "    local = experts / grid.expert_parallel", "    local = experts"),
        ("copies permuted one way", "permuted = 4.0 * copies", "permuted = 2.0 * copies"),
        ("no imbalance", "rows = rows * load_of_the_fullest(grid, constants)", "rows = rows * 1.0"),
        ("forced balance overlooked", "where(grid.expert_load > 0, grid.expert_load, learned)", "learned"),
    ),
    *mistakes(
        f"{TIME}/compute.py", f"{TESTS}/time/test_compute.py",
        ("frozen weights have gradients", "flops.BACKWARD_MATMULS - grid.frozen", "flops.BACKWARD_MATMULS"),
        ("one launch backward", "device_backward, 2.0 * launch", "device_backward, launch"),
        ("every loss as fused", "where(fused, LOSS_BYTES[\"fused\"], plain)", "LOSS_BYTES[\"fused\"]"),
        ("no vocabulary padded", "kernels.pads_vocabulary(grid) & (columns", "(grid.layers < 0) & (columns"),
        ("each adapter as seven", "grid.adapted_modules / 7.0", "grid.adapted_modules"),
        ("routing at no cost", "+ ROUTING_LAUNCHES * own", "+ 0.0 * own"),
        ("graphs launch as much", "where(grid.graphs > 0, kernels.GRAPH_SHARE, 1.0)", "1.0"),
        ("all blocks recomputed", "forward * grid.recompute_blocks", "forward"),
        ("head not split", "grid.head_matmul / grid.hidden_size / grid.tensor_parallel", "grid.head_matmul / grid.hidden_size"),
    ),
    *mistakes(
        f"{TIME}/collectives.py", f"{TESTS}/time/test_collectives.py",
        ("a ring of n steps", "moved = (group.size - 1.0) / group.size * nbytes", "moved = nbytes"),
        ("the faster of the links", "larger(local, remote) + messages", "smaller(local, remote) + messages"),
        ("latency once", "+ messages * (group.ring_s", "+ (group.ring_s"),
        ("latency for each rank", "links = (inside - 1.0) *", "links = inside *"),
        ("the network to one group", "smaller(inside / per_node,", "smaller(inside / inside,"),
        ("a ring over all nodes", "smaller(ring, links +", "larger(ring, links +"),
        ("a tree for gathers of whole nodes", "where(inside > 1.0, ring, tree), tree", "tree, tree"),
        ("each draw a new place", "(1.0 - (1.0 - 1.0 / larger(places, 1.0)) ** draws)", "draws"),
        ("stride forgotten", "np.floor(grid.link_domain_ranks / stride)", "np.floor(grid.link_domain_ranks / 1.0)"),
        ("the network to one rank", "remote = remote_bytes * inside /", "remote = remote_bytes /"),
        ("pipeline inside data parallel", "grid.context_parallel * grid.data_parallel", "grid.context_parallel"),
        ("a hand-over over the whole network", "group.internode_bytes_per_s / group.inside, group", "group.internode_bytes_per_s, group"),
    ),
    *mistakes(
        f"{TIME}/overlap.py", f"{TESTS}/time/test_overlap.py",
        ("half an all-reduce", "each = 2.0 * collectives.reduce_scatter_s(group, nbytes * wire, rounds_s", "each = collectives.reduce_scatter_s(group, nbytes * wire, rounds_s"),
        ("one ring backward", "total = 3.0 * compute.blocks", "total = 2.0 * compute.blocks"),
        ("one key's ring not split", "nbytes = grid.context_parallel * grid.tokens_per_rank * widths", "nbytes = grid.tokens_per_rank * widths"),
        ("dispatch without combining", "passes = 4.0 +", "passes = 2.0 +"),
        ("hidden work costs nothing", "excess + contention * (communication - excess)", "excess"),
        ("gradients not scattered", "constants, gather + each, backward", "constants, gather, backward"),
        ("all of an all-to-all leaves", "copies * (size - inside) / size", "copies * (size - 1.0) / size"),
        ("stacks hide alike", "where(eager, constants.prefetched_contention", "where(grid.layers < 0, constants.prefetched_contention"),
        ("experts over all replicas", "ranks * grid.tensor_parallel / apart, 1.0)", "ranks * grid.tensor_parallel, 1.0)"),
        ("buckets of one size", "np.maximum(MEGATRON_BUCKET, MEGATRON_BUCKET_A_RANK * ranks)", "MEGATRON_BUCKET"),
        ("Megatron hides all reductions", "where(late, reduce, hidden)", "hidden"),
        ("context ranks reduce nothing", "ranks = grid.data_parallel * grid.context_parallel", "ranks = grid.data_parallel"),
    ),
    *mistakes(
        f"{TIME}/step.py", f"{TESTS}/time/test_step.py",
        ("a bubble of all stages", "waiting = (grid.pipeline_parallel - 1.0)", "waiting = grid.pipeline_parallel"),
        ("interleaving without gain", "- 1.0) / grid.interleaved_stages", "- 1.0)"),
        ("the emptiest stage", "np.ceil(blocks / chunks) * chunks", "np.floor(blocks / chunks) * chunks"),
        ("hand-overs forward only", "count = 2.0 * grid.interleaved_stages", "count = grid.interleaved_stages"),
        ("states read only", "states = 2.0 * (grid.weight_bytes", "states = 1.0 * (grid.weight_bytes"),
        ("gradients read once", "states + 2.0 * grid.gradient_bytes", "states + grid.gradient_bytes"),
        ("reduction in each micro-batch", "* data.per_micro_batch + data.per_step", "* (data.per_micro_batch + data.per_step)"),
        ("gradients added at no cost", "+ micro_batches * accumulation_s(grid, constants)", ""),
        ("no reference forward", "(1.0 + grid.reference_forwards)", "(1.0 + 0.0 * grid.reference_forwards)"),
    ),
    *mistakes(
        f"{MEMORY}/states.py", f"{TESTS}/memory/test_states.py",
        ("odd blocks at the ends", "(middle > 0) | short, most, fewest)", "(middle > 0) | short, fewest, most)"),
        ("ZeRO one stage early", "dense_split = [where(level >= reached, group", "dense_split = [where(level >= reached - 1.0, group"),
        ("experts sharded as dense ones", "group * grid.tensor_parallel / apart, 1.0", "group * grid.tensor_parallel, 1.0"),
        ("master kept though offloaded", "states_kept * (grid.master_bytes * on_gpu)", "states_kept * grid.master_bytes"),
        ("tied table twice on one stage", "apart = 1.0 - stage.first", "apart = 1.0"),
    ),
    *mistakes(
        f"{MEMORY}/activations.py", f"{TESTS}/memory/test_activations.py",
        ("one norm", "norms=hidden * (2.0 * norm)", "norms=hidden * norm"),
        ("scores not squared", "grid.scoring_share * per.score * tokens * grid.sequence_length", "grid.scoring_share * per.score * tokens"),
        ("no gate kept", "stored * (1.0 + grid.gated) + element_bytes", "stored + element_bytes"),
        ("in flight one fewer", "smaller(pipeline - stage.number,", "smaller(pipeline - stage.number - 1.0,"),
        ("more in flight than there are", "interleaved = smaller(warm_up", "interleaved = larger(warm_up"),
        ("interleaved warm-up without its own chunk", "(chunks - 1.0) * pipeline + 1.0", "(chunks - 1.0) * pipeline"),
        ("source keys forgotten", "* targets + per.key_side * tokens", "* targets"),
        ("router in two bytes", "ROUTER_BYTES = 8.0", "ROUTER_BYTES = 2.0"),
    ),
    *mistakes(
        f"{MEMORY}/buffers.py", f"{TESTS}/memory/test_buffers.py",
        ("vocabulary not split", "* (grid.vocab_size / split)", "* grid.vocab_size"),
        ("chunks larger than the whole", "smaller(chunks, whole)", "larger(chunks, whole)"),
        ("one gathered block", "2.0 * block * gathered)", "block * gathered)"),
        ("live parameters without limit", "live = smaller(limit,", "live = larger(limit,"),
    ),
    *mistakes(
        f"{MEMORY}/reserve.py", f"{TESTS}/memory/test_seen_bytes.py",
        ("a loss that leaves no room", "loss + share * moving + (reuse.loss_room + passing", "loss + share * moving + (passing"),
        ("gradient copy forgotten", "SHIFTED_LOSS_BYTES = 4.0 + 4.0 + 4.0 + 2.0", "SHIFTED_LOSS_BYTES = 4.0 + 4.0 + 4.0"),
        ("the lower of step and end", "later, step),", "later, 0.0 * step),"),
    ),
    *mistakes(
        f"{MEMORY}/reserve.py", f"{TESTS}/memory/test_reserve.py",
        ("room below what is alive", "larger(passing - each_logit, 0.0)", "smaller(passing - each_logit, 0.0)"),
    ),
    *mistakes(
        f"{MEMORY}/traits.py", f"{TESTS}/memory/test_traits.py",
        ("compiled modules eager", "eager = plain * (1.0 - grid.compiled)", "eager = plain"),
        ("pretraining in narrow losses", "grid.finetuning * grid.fp16 * larger", "grid.fp16 * larger"),
    ),
    *mistakes(
        f"{MEMORY}/peak.py", f"{TESTS}/memory/test_peak.py",
        ("the emptiest stage", "place = highest.argmax(axis=0)", "place = highest.argmin(axis=0)"),
        ("no logits at the loss", 'loss = before + of["logits"]', "loss = before"),
        ("no room kept", "larger(smaller(wished_reserve, room), least)", "larger(wished_reserve, least)"),
    ),
    *mistakes(
        "planner/engine/rl/decode.py", f"{TESTS}/rl/test_generation.py",
        ("the faster of memory and arithmetic", "np.maximum(memory_s, arithmetic_s)", "np.minimum(memory_s, arithmetic_s)"),
        ("values not cached", "grid.kv_heads * (grid.head_dim + grid.value_head_dim)", "grid.kv_heads * grid.head_dim"),
        ("experts read by none", "1.0 - missed**sequences", "missed**sequences"),
        ("groups never wait", "np.maximum(2.0 * groups, replica.stages)", "np.maximum(groups, replica.stages)"),
    ),
    *mistakes(
        "planner/engine/rl/generation.py", f"{TESTS}/rl/test_generation.py",
        ("every place is filled once more", "(waiting / together - 1.0) * lengths.mean", "(waiting / together) * lengths.mean"),
        ("rounds rounded down", "np.ceil(waiting / together) * last", "np.floor(waiting / together) * last"),
        ("nobody waits for the longest", "lengths.tokens * of_round * each", "lengths.tokens * lengths.alive * each"),
    ),
    *mistakes(
        "planner/engine/rl/lengths.py", f"{TESTS}/rl/test_lengths.py",
        ("no answer is cut", "np.exp(np.minimum(middle + shape * SCORES, 700.0)), limit)", "np.exp(np.minimum(middle + shape * SCORES, 700.0)), np.inf)"),
    ),
    *mistakes(
        "planner/engine/rl/pools.py", f"{TESTS}/rl/test_pools.py",
        ("both pools in turn", "np.maximum(own - busy, 0.0)", "own"),
    ),
    *mistakes(
        "planner/engine/rl/scoring.py", f"{TESTS}/rl/test_pools.py",
        ("a pipeline that fills at once", "step.forward + talk / passes + bubble", "step.forward + talk / passes"),
    ),
    *mistakes(
        "planner/engine/rl/memory.py", f"{TESTS}/rl/test_models.py",
        ("weights not split", "(grid.pipeline_parallel * sharded)", "sharded"),
        ("the smaller activations", "np.maximum(moving[\"activations\"], each", "np.minimum(moving[\"activations\"], each"),
    ),
    *mistakes(
        "planner/engine/sure/intervals.py", f"{TESTS}/sure/test_intervals.py",
        ("the high side twice", "quantiles.low * wider, quantiles", "quantiles.high * wider, quantiles"),
        ("near quantiles for far plans", "intervals.far if far else intervals.near", "intervals.near if far else intervals.far"),
        ("the first far thing widens too", "max(len(far) - 1, 0)", "max(len(far), 0)"),
        ("far beyond the largest run", "ranks > 2.0 * largest", "ranks > 4.0 * largest"),
    ),
    *mistakes(
        "planner/engine/run/length.py", f"{TESTS}/run/test_length.py",
        ("a part of a batch dropped", "math.ceil(tokens", "math.floor(tokens"),
    ),
    *mistakes(
        "planner/engine/run/money.py", f"{TESTS}/run/test_money.py",
        ("minutes for hours", "SECONDS_PER_HOUR = 3600.0", "SECONDS_PER_HOUR = 60.0"),
        ("machines to the last second of a block", "(np.asarray(total_s) + blocks.ends_early_s)", "np.asarray(total_s)"),
        ("days where weeks are sold", "np.where(days <= blocks.block_days, days, weeks)", "days"),
        ("blocks of any size", "& (nodes <= blocks.nodes_in_all)", "& (nodes > 0)"),
        ("one term for any run", "return max(1, math.ceil(total_s / SECONDS_PER_DAY", "return min(1, math.ceil(total_s / SECONDS_PER_DAY"),
        ("a price as old as twice its age", "years = max(0.0, age_days) / DAYS_PER_YEAR", "years = max(0.0, age_days) / 182.5"),
        ("the larger of two uncertainties", "math.exp(math.hypot(high, of_price[1]))", "math.exp(max(high, of_price[1]))"),
    ),
    *mistakes(
        "planner/engine/run/interruptions.py", f"{TESTS}/run/test_interruptions.py",
        ("one machine's losses", "return nodes * interruptions.per_node_day", "return interruptions.per_node_day"),
        ("no restart", "rate * interruptions.restart_s", "rate * 0.0"),
        ("checkpoints for nothing", "(interval + interruptions.write_s)", "(interval)"),
        ("Young without the two", "np.sqrt(2.0 * interruptions.write_s / rate)", "np.sqrt(interruptions.write_s / rate)"),
    ),
    *mistakes(
        "planner/engine/layout/enumeration.py", f"{TESTS}/layout/test_enumeration.py",
        ("fewer micro-batches than stages", "(steps >= pipeline)", "(steps > pipeline)"),
        ("stages that idle", "UNEVEN_SHARE = 1.15", "UNEVEN_SHARE = 1.4"),
        ("replicas that do not divide", "(found.data > 0) & (batch % data == 0)", "(found.data > 0)"),
        ("context ranks share nothing", "shared = data * context\n    if request", "shared = data\n    if request"),
    ),
    *mistakes(
        "planner/engine/layout/refusals.py", f"{TESTS}/layout/test_refusals.py",
        ("a stage a layer too many", "if pipeline is not None and pipeline > layers", "if pipeline is not None and pipeline > layers + 1000"),
        ("any product", "if ranks % known == 0 and (not settled or known == ranks)", "if ranks % known == 0"),
    ),
    *mistakes(
        "planner/engine/choose/candidates.py", f"{TESTS}/choose/test_candidates.py",
        ("the slowest", "np.argmin(self.step_s * (1.0", "np.argmax(self.step_s * (1.0"),
        ("no reluctance", "(1.0 + reluctance(self))", "(1.0)"),
        ("the most recompute", "np.cumsum(side_by_side, axis=1) == 1", "np.cumsum(side_by_side, axis=1) >= 1"),
        ("the largest where nothing fits", "np.argmin(self.memory_total_bytes)", "np.argmax(self.memory_total_bytes)"),
    ),
    *mistakes(
        "planner/engine/choose/layout.py", f"{TESTS}/choose/test_layout.py",
        ("accumulation of the whole batch", "global_batch_size // (data * micro)", "global_batch_size // micro"),
        ("the least recompute as most frugal", "recompute=axes.recompute[-1:]", "recompute=axes.recompute[:1]"),
        ("the fewest usable ranks", ".max(initial=1))", ".min(initial=1))"),
    ),
    *mistakes(
        "planner/engine/choose/nodes.py", f"{TESTS}/choose/test_nodes.py",
        ("parts of nodes", "ranks[ranks % per_node == 0] // per_node\n    return nodes", "ranks // per_node\n    return nodes"),
        ("slower than can be", "BEST_UTILIZATION * 2.0 * ranks", "BEST_UTILIZATION * ranks"),
    ),
    *mistakes(
        "planner/engine/choose/offers.py", f"{TESTS}/choose/test_offers.py",
        ("the smallest micro-batch first", "for size in reversed([size for size", "for size in iter([size for size"),
        ("weaker sharding", "SHARDINGS[SHARDINGS.index(layout.sharding) + 1 :]", "SHARDINGS[SHARDINGS.index(layout.sharding) :]"),
        ("fewer ranks hold more", "return ranks > own_ranks or", "return ranks >= own_ranks or"),
    ),
    *mistakes(
        "planner/engine/answer/kept.py", f"{TESTS}/answer/test_front.py",
        ("ties stay on the front", "usd[order] < cheapest_before", "usd[order] <= cheapest_before"),
        ("ties by place", "np.lexsort((other, scores(objective, total_s, usd)))", "np.argsort(scores(objective, total_s, usd), kind=\"stable\")"),
    ),
    *mistakes(
        "planner/engine/answer/kept.py", f"{TESTS}/answer/test_pruning.py",
        ("beaten by a dearer one", "(dollars[np.maximum(place, 0)] <= usd)", "(dollars[np.maximum(place, 0)] >= usd)"),
        ("runners-up before other clusters", "np.lexsort((rows.cluster, rows.total_s, self.score(rows), rows.place))", "np.lexsort((rows.cluster, rows.total_s, rows.place, self.score(rows)))"),
        ("a plan known to others counts twice", "np.any(known[1:] != known[:-1], axis=1)", "np.any(known[1:] == known[:-1], axis=1)"),
    ),
    *mistakes(
        "planner/engine/choose/bound.py", f"{TESTS}/choose/test_bound.py",
        ("no ranks", "batch_s / ranks * jitter", "batch_s * jitter"),
        ("a bubble of all stages", "(stages - 1.0) / chunks *", "(stages + 1.0) / chunks *"),
        ("three matmuls backward of two", "(flops.BACKWARD_MATMULS - grid.frozen) * linear", "3.0 * flops.BACKWARD_MATMULS * linear"),
        ("the batch twice", "grid.global_batch_size / grid.micro_batch_size", "2.0 * grid.global_batch_size / grid.micro_batch_size"),
    ),
    *mistakes(
        "planner/engine/memory/held.py", f"{TESTS}/choose/test_bound.py",
        ("held twice", "fullest * (1.0 +", "2.0 * fullest * (1.0 +"),
    ),
    *mistakes(
        "planner/engine/sure/pairs.py", f"{TESTS}/sure/test_pairs.py",
        ("all errors shared", "return share * (one.time_spread**2 + other.time_spread**2)", "return 0.0 * share"),
        ("prices of one offer err apart", "if offers[0] == offers[1]:", "if offers[0] != offers[1]:"),
        ("the other one is better", "math.log(other.usd / one.usd)", "math.log(one.usd / other.usd)"),
    ),
    *mistakes(
        "planner/engine/answer/why_not.py", f"{TESTS}/answer/test_why_not.py",
        ("the level price the wrong way", "level = price * other / own", "level = price * own / other"),
        ("days beyond the deadline", "by=days - request.deadline_days", "by=days + request.deadline_days"),
    ),
    *mistakes(
        "planner/engine/grid/build.py", f"{TESTS}/grid/test_build.py",
        ("eighths of compute", "/ cluster.mig_profile.gpu_compute_slices", "/ cluster.mig_profile.gpu_memory_slices"),
        ("all of the chip's bandwidth", "chip.memory_bandwidth_bytes_per_s * memory_share", "chip.memory_bandwidth_bytes_per_s"),
        ("tf32 in two bytes", "4.0 if workload.precision in (\"fp32\", \"tf32\") else 2.0", "4.0 if workload.precision in (\"fp32\",) else 2.0"),
    ),
    *mistakes(
        "planner/engine/grid/expert_split.py", f"{TESTS}/grid/test_expert_split.py",
        ("experts split unasked", "return where(whole, 1.0, grid.tensor_parallel)", "return grid.tensor_parallel"),
    ),
    *mistakes(
        "planner/engine/grid/recipe.py", f"{TESTS}/grid/test_recipe.py",
        ("one moment", "\"adamw\": 2.0", "\"adamw\": 1.0"),
        ("no block constants", "\"nf4\": 0.5 + 0.127 / 8", "\"nf4\": 0.5"),
        ("Muon for all", "adam_share * (STATE", "0.0 * (STATE"),
    ),
    *mistakes(
        "planner/engine/grid/scalars.py", f"{TESTS}/grid/test_scalars.py",
        ("the other side", "chosen if condition else otherwise", "otherwise if condition else chosen"),
    ),
    *mistakes(
        "planner/catalog/facts/records.py", "tests/catalog/test_staleness.py",
        ("stale on the day", "(day - seen).days > STALE_PRICE_DAYS", "(day - seen).days >= STALE_PRICE_DAYS"),
    ),
    *mistakes(
        "inventory/pages/product_names.py", "tests/inventory/pages/test_product_names.py",
        ("a word inside another", r"\bl4\b", "l4"),
        ("any H200", '(r"h200 nvl", "h200-nvl")', '(r"h200 nvl", "h200-sxm")'),
    ),
    *mistakes(
        "planner/plans/state.py", "tests/plans/test_spellings.py",
        ("a billion of 2 to the 30", "\"g\": 10**9", "\"g\": 2**30"),
        ("large numbers whole", "abs(value) < 2**53", "abs(value) < 2**63"),
    ),
    *mistakes(
        "planner/plans/variations.py", "tests/plans/compare/test_node_counts.py",
        ("a part of a machine dropped", "math.ceil(plan.accelerators", "math.floor(plan.accelerators"),
        ("replicas kept", "replace(layout, **dict.fromkeys(FOLLOWING))", "layout"),
    ),
    *mistakes(
        "planner/mig/placement/chip.py", "tests/mig/placement/test_enumeration.py",
        ("a place too early", "return ((1 << self.size) - 1) << self.start", "return ((1 << self.size) - 1) << self.start >> 1"),
        ("the pair held by old drivers", "FIRST_DRIVER_WITH_4G_AND_3G = 510", "FIRST_DRIVER_WITH_4G_AND_3G = 410"),
        ("double memory as standard", "and p.name not in self.double_memory", "and p.name"),
    ),
    *mistakes(
        "planner/mig/placement/enumeration.py", "tests/mig/placement/test_enumeration.py",
        ("one more of a profile", "or left[profile.name] < 1", "or left[profile.name] < 0"),
        ("engines without end", "or any(map(gt, needs[index], engines))", "or False"),
        ("compute slices without end", "or profile.compute_slices > compute", "or False"),
    ),
    *mistakes(
        "planner/mig/placement/openness.py", "tests/mig/placement/test_openness.py",
        ("the least open place", "return max(\n        fitting,", "return min(\n        fitting,"),
        ("what fits taken for what could", "max(further(chip, name, layout) for layout in layouts)", "further(chip, name, standing)"),
    ),
    *mistakes(
        "planner/mig/placement/program.py", "tests/mig/placement/test_plan.py",
        ("changes without what is destroyed", "costs[column] = pattern.destroyed\n", "costs[column] = 0\n"),
        ("parts of machines", "* gpus.per_node\n        return costs", "* 1.0\n        return costs"),
        ("busy GPUs as empty ones", "PER_GPU * (not gpus.in_use)", "PER_GPU"),
    ),
    *mistakes(
        "planner/mig/placement/program.py", "tests/mig/placement/test_plan.py",
        ("in use like any other", "(1 + standing) * pattern.stopped", "0 * pattern.stopped"),
    ),
    *mistakes(
        "planner/mig/placement/nearest.py", "tests/mig/placement/test_brute_force.py",
        ("jobs that run forgotten", "*([] if question.in_use_serves else beside)", "*[]"),
    ),
    *mistakes(
        "planner/mig/placement/patterns.py", "tests/mig/placement/test_brute_force.py",
        ("what is in use may go", "s.foreign or (s.in_use and not may_destroy_in_use)", "s.foreign"),
        ("busy instances serve", "and (in_use_serves or not s.in_use)", "and True"),
    ),
    *mistakes(
        "planner/mig/placement/steps.py", "tests/mig/placement/test_steps.py",
        ("made before destroyed", "order = {ENABLE: 0, DESTROY: 1, CREATE: 2}", "order = {ENABLE: 0, DESTROY: 2, CREATE: 1}"),
    ),
    *mistakes(
        "planner/mig/prices.py", "tests/mig/test_prices.py",
        ("the smaller part", "return max(profile.compute_slices", "return min(profile.compute_slices"),
        ("more than the whole", "whole = max(1.0, sum(shares))", "whole = 1.0"),
    ),
]  # fmt: skip
