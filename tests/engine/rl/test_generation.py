"""Generation by hand: 1536 parameters in 2 bytes, prompts of 2 and answers of 6 tokens, RATE FLOP/s."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from planner.engine.rl.decode import cache_bytes_per_token, touched_share
from planner.engine.rl.lengths import response_lengths
from tests.engine.bare import LINK, RATE, bare_grid, framework, number
from tests.engine.rl.rounds import IDEAL, phase, rollout

TOKEN_S = 2 * 1536 / RATE


def test_a_token_leaves_a_key_and_a_value_in_each_block() -> None:
    """Kwon et al. 2023: 2 x layers x key heads x head width x bytes; latent attention its vector alone."""
    assert number(cache_bytes_per_token(bare_grid())) == 2 * 2 * 2 * 4 * 2
    assert number(cache_bytes_per_token(bare_grid(kv_lora_rank=5))) == 2 * 5 * 2


def test_one_sequence_on_the_roofline() -> None:
    """A single answer reads the weights once a token (Pope et al. 2022): 3072 bytes and its own cache."""
    slow = phase(rollout(sequences=1.0), memory_bandwidth_bytes_per_s=10.0)
    assert number(slow.seconds) == pytest.approx(2 * TOKEN_S + 6 * (3072 + 5 * 64) / 10)
    fast = phase(rollout(sequences=1.0))
    assert number(fast.seconds) == pytest.approx(2 * TOKEN_S + 6 * TOKEN_S)


def test_the_mean_answer_is_what_one_sequence_takes() -> None:
    varied = rollout(sequences=1.0, lengths=response_lengths(6.0, 4.0, None))
    assert number(phase(varied).seconds) == pytest.approx(2 * TOKEN_S + 6 * TOKEN_S)


def test_fast_memory_leaves_arithmetic_launches_and_the_host() -> None:
    """4 sequences: 2 FLOPs a parameter and token; 2 blocks launched, one step and 4 sequences on the host."""
    constants = replace(IDEAL, engine_layer_s=0.25, engine_step_s=0.5, engine_sequence_s=0.125)
    found = phase(constants=constants)
    token = 4 * TOKEN_S + 2 * 0.25 + 0.5 + 4 * 0.125
    assert number(found.seconds) == pytest.approx(4 * 2 * TOKEN_S + 6 * token)
    assert number(found.sequences) == 4
    assert number(found.cache_bytes) == 4 * 8 * 64


def test_a_round_waits_for_its_longest_answer() -> None:
    """Launches alone: as many steps as the longest of 64 answers has tokens."""
    lengths = response_lengths(6.0, 4.0, 20.0)
    varied = rollout(sequences=64.0, lengths=lengths)
    found = phase(varied, constants=replace(IDEAL, engine_step_s=1.0), peak_flops_per_s=1e30)
    longest = float(np.sum(lengths.tokens * (1 - (1 - lengths.alive) ** 64)))
    assert number(found.seconds) == pytest.approx(longest)
    assert longest > 15


def test_places_are_filled_again_as_answers_end() -> None:
    """8 sequences, 4 places: twice the steps of 4, whatever the lengths; static batches each wait anew."""
    steps = replace(IDEAL, engine_step_s=1.0)
    fixed = rollout(sequences=8.0, most_sequences=4.0)
    assert number(phase(fixed, constants=steps, peak_flops_per_s=1e30).seconds) == pytest.approx(12)
    lengths = response_lengths(6.0, 4.0, None)
    varied = replace(fixed, lengths=lengths)
    continuous = number(phase(varied, constants=steps, peak_flops_per_s=1e30).seconds)
    run_out = float(np.sum(lengths.tokens * (1 - (1 - lengths.alive) ** 8)))
    assert continuous == pytest.approx(6 + run_out)
    eager = replace(IDEAL, eager_layer_s=0.5)
    static = number(
        phase(replace(varied, engine="static", eager=True), constants=eager, peak_flops_per_s=1e30).seconds
    )
    own = float(np.sum(lengths.tokens * (1 - (1 - lengths.alive) ** 4)))
    assert static == pytest.approx(2 * own)


def test_a_static_batch_that_is_not_full_takes_as_long() -> None:
    eager = replace(IDEAL, eager_layer_s=0.5)
    static = rollout(engine="static", eager=True, sequences=7.0, most_sequences=4.0)
    assert number(phase(static, constants=eager, peak_flops_per_s=1e30).seconds) == pytest.approx(2 * 6)


def test_memory_limits_the_places_and_states_move_for_a_few() -> None:
    """Room for 20 sequences of 8 tokens x 64 bytes beside 3072 of weights; less with states that stay."""
    many = rollout(sequences=100.0, memory_share=1.0)
    memory = 3072 + 20 * 512
    assert number(phase(many, memory_bytes=memory / 0.85).sequences) == 20
    beside = phase(many, memory_bytes=memory / 0.85, states=2 * 512.0)
    assert number(beside.sequences) == 18
    assert number(beside.moved_bytes) == 0
    # Fewer than sixteen places are not worth having: the states go to the host.
    moved = phase(many, memory_bytes=float(memory), states=10 * 512.0)
    assert number(moved.moved_bytes) == 10 * 512
    assert number(moved.sequences) == 20


def test_two_ranks_share_a_token_and_replicas_share_the_batch() -> None:
    alone = number(phase().seconds)
    sent = 4 * 4 * 8 * 2 / LINK * 2
    both = phase(rollout(tensor_parallel=2), ranks=2.0)
    assert number(both.seconds) == pytest.approx(alone / 2 + 6 * sent)
    assert number(phase(ranks=2.0).seconds) == pytest.approx(alone / 2)
    assert number(phase(ranks=2.0).replicas) == 2


def test_a_link_that_joins_machines_makes_their_reductions_short() -> None:
    """Eight ranks on machines of four: between nodes, unless one link joins them all (GB200 NVL72)."""
    far = replace(IDEAL, network_reduction_s=1.0)
    asked = rollout(tensor_parallel=8)
    apart = phase(asked, ranks=8.0, constants=far, attention_heads=8, link_domain_ranks=4)
    joined = phase(asked, ranks=8.0, constants=far, attention_heads=8, link_domain_ranks=72)
    assert number(apart.seconds) > number(joined.seconds) + 6 * 2 * 2 * 0.9


def test_answers_to_one_prompt_read_it_once() -> None:
    shared = rollout(group=4.0, shared_prompts=True)
    assert number(phase(shared).prefill) == pytest.approx(number(phase().prefill) / 4)


def test_a_step_of_few_tokens_reads_few_experts() -> None:
    grid = bare_grid(experts=8, experts_per_token=2)
    assert number(touched_share(grid, np.float64(1.0))) == pytest.approx(1 / 4)
    assert number(touched_share(grid, np.float64(2.0))) == pytest.approx(1 - 0.75**2)
    assert number(touched_share(bare_grid(), np.float64(1.0))) == 0


def test_static_groups_take_turns_on_the_stages() -> None:
    """8 sequences in groups of 2 on 2 stages: each stage has two slots for each of 4 groups."""
    static = rollout(engine="static", sequences=8.0, most_sequences=2.0, pipeline_parallel=2)
    visits = replace(IDEAL, stage_visit_s=1.0)
    found = phase(static, ranks=2.0, constants=visits, peak_flops_per_s=1e30)
    # Two groups are under way at once, in two rounds.
    assert number(found.seconds) == pytest.approx(2 * 6 * 4)


def test_the_fastest_layout_that_holds_the_weights_is_taken() -> None:
    free = rollout(tensor_parallel=None)
    assert number(phase(free, ranks=4.0).tensor) == 1
    tight = phase(free, ranks=4.0, memory_bytes=3072 * 0.9)
    assert number(tight.tensor) == 2
    launches = replace(IDEAL, engine_step_s=1.0)
    assert number(phase(free, ranks=4.0, constants=launches).tensor) == 1


def test_static_batches_of_megatron_run_in_the_training_layout() -> None:
    static = rollout(engine="static", tensor_parallel=None)
    found = phase(static, ranks=4.0, framework=framework("megatron"), tensor_parallel=2, pipeline_parallel=2)
    assert (number(found.tensor), number(found.stages)) == (2, 2)


@pytest.mark.parametrize("deviation", [0.0, 5.0])
@pytest.mark.parametrize("places", [3.0, 1e6])
def test_more_ranks_never_take_longer_and_longer_answers_never_less(deviation: float, places: float) -> None:
    constants = replace(IDEAL, engine_step_s=0.1, engine_sequence_s=0.02, engine_layer_s=0.05)

    def seconds(ranks: float, tokens: float) -> float:
        asked = rollout(
            sequences=64.0,
            most_sequences=places,
            tensor_parallel=None,
            lengths=response_lengths(tokens, deviation, None),
        )
        grid = {"memory_bytes": 40_000.0, "memory_bandwidth_bytes_per_s": 1e4}
        return number(phase(asked, ranks=ranks, constants=constants, **grid).seconds)

    by_ranks = [seconds(float(ranks), 6.0) for ranks in range(1, 40)]
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in itertools.pairwise(by_ranks))
    by_tokens = [seconds(4.0, float(tokens)) for tokens in range(1, 60)]
    assert all(later >= earlier for earlier, later in itertools.pairwise(by_tokens))


def test_many_plans_at_once_are_the_plans_one_by_one() -> None:
    ranks = np.array([1.0, 2.0, 4.0, 8.0])
    memory = np.array([4000.0, 4000.0, 9000.0, 1e9])
    from planner.engine.rl.generation import generation_phase
    from tests.engine.bare import bare_constants

    asked = rollout(tensor_parallel=None, sequences=100.0, lengths=response_lengths(6.0, 4.0, 30.0))
    grid = bare_grid().with_fields(memory_bytes=memory)
    together = generation_phase(grid, asked, bare_constants(), IDEAL, ranks=ranks, states_bytes=np.zeros(4))
    for row in range(4):
        alone = phase(asked, ranks=ranks[row], memory_bytes=memory[row])
        assert together.seconds[row] == pytest.approx(number(alone.seconds), rel=1e-12)
        assert together.tensor[row] == number(alone.tensor)
