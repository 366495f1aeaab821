"""Parameter counts and linear layers of a model that is described by its parts.

The counts come as ``ParameterCount``, whose blocks are of three kinds; where the groups of one kind differ
(hybrids), a block's numbers are their mean, rounded, and the total is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from planner.engine.question.parts import BlockGroup, Composition, Matrix
from planner.engine.question.specs import LinearModule, ParameterCount


def count_composition(parts: Composition) -> ParameterCount:
    """Exact totals; per-block numbers are means over the blocks of a kind.

    active: without the routed experts that a token does not visit.
    """
    dense = [group for group in parts.groups if group.stack == "main" and not group.channel.experts]
    moe = [group for group in parts.groups if group.stack == "main" and group.channel.experts]
    decoder = [group for group in parts.groups if group.stack == "decoder"]
    blocks = sum(_stored(group) * _block_parameters(group) for group in parts.groups)
    routed = sum(_stored(group) * group.channel.routed_parameters for group in parts.groups)
    total = parts.embedding + parts.head + blocks + routed
    main = [*dense, *moe]
    return ParameterCount(
        embedding=parts.embedding,
        head=parts.head,
        tied_head=parts.tied_head,
        dense_block=_mean(dense, _stored_parameters),
        moe_block=_mean(moe, _stored_parameters),
        routed_experts=_mean(moe, lambda group: group.channel.routed_parameters),
        decoder_block=_mean(decoder, _whole_block),
        dense_blocks=_blocks(dense),
        moe_blocks=_blocks(moe),
        decoder_blocks=_blocks(decoder),
        total=total,
        active=total - _idle([group for group in parts.groups if group.channel.experts]),
        attention_matmul=_mean(main or decoder, lambda group: _weights(group.mixer.matrices)),
        cross_attention_matmul=_mean(decoder, _cross_weights),
        ffn_matmul=_mean([*dense, *decoder], lambda group: _weights(group.channel.matrices)),
        expert_matmul=_mean(moe, lambda group: _weights(group.channel.expert)),
        shared_expert_matmul=_mean(moe, lambda group: _weights(group.channel.matrices)),
        router_matmul=_mean(moe, lambda group: _weights(group.channel.router)),
        head_matmul=parts.head_matmul,
    )


def composed_modules(parts: Composition) -> tuple[LinearModule, ...]:
    """Every linear layer that an adapter can wrap, same-shaped ones once, counted; then those outside."""
    found: dict[tuple[str, int, int, bool], tuple[Matrix, int, bool]] = {}
    for group in parts.groups:
        experts = group.channel.experts
        for matrix, copies, routed in (
            *((matrix, 1, False) for matrix in _met(group)),
            *((matrix, experts, True) for matrix in group.channel.expert),
        ):
            if not matrix.adaptable:
                continue
            key = (matrix.path, matrix.inputs, matrix.outputs, matrix.bias)
            earlier = found[key][1] if key in found else 0
            found[key] = (matrix, earlier + _stored(group) * copies * matrix.copies, routed)
    inside = [_module(matrix, copies, routed, True) for matrix, copies, routed in found.values()]
    return (*inside, *(_module(matrix, matrix.copies, False, False) for matrix in parts.outside))


def mean_over_blocks(parts: Composition, name: str) -> float:
    """The mean over all blocks of the main stack of one of the mixer's numbers."""
    main = [group for group in parts.groups if group.stack == "main"]
    blocks = _blocks(main)
    return sum(group.blocks * float(getattr(group.mixer, name)) for group in main) / max(blocks, 1)


def _met(group: BlockGroup) -> Iterable[Matrix]:
    cross = group.cross.matrices if group.cross else ()
    return (*group.mixer.matrices, *cross, *group.channel.matrices, *group.channel.router)


def _stored(group: BlockGroup) -> int:
    """How many times a group's weights stand in memory: once where its blocks share them."""
    return 1 if group.counted_once else group.blocks


def _block_parameters(group: BlockGroup) -> int:
    """One block's parameters without its routed experts."""
    cross = group.cross.other_parameters if group.cross else 0
    return (
        sum(matrix.parameters for matrix in _met(group))
        + group.mixer.other_parameters
        + cross
        + group.channel.other_parameters
        + group.other_parameters
    )


def _stored_parameters(group: BlockGroup) -> float:
    """One block's parameters, shared ones divided among the blocks that share them."""
    return _block_parameters(group) * _stored(group) / max(group.blocks, 1)


def _whole_block(group: BlockGroup) -> float:
    """As ``_stored_parameters``, with the routed experts."""
    return _stored_parameters(group) + group.channel.routed_parameters


def _weights(matrices: Iterable[Matrix]) -> int:
    return sum(matrix.copies * matrix.weights for matrix in matrices)


def _cross_weights(group: BlockGroup) -> int:
    return _weights(group.cross.matrices) if group.cross else 0


def _blocks(groups: Iterable[BlockGroup]) -> int:
    return sum(group.blocks for group in groups)


def _mean(groups: list[BlockGroup], number: Callable[[BlockGroup], float]) -> int:
    blocks = _blocks(groups)
    return round(sum(group.blocks * number(group) for group in groups) / blocks) if blocks else 0


def _idle(groups: list[BlockGroup]) -> int:
    """Parameters of routed experts that one token does not visit."""
    return sum(
        _stored(group)
        * (group.channel.routed_parameters // group.channel.experts)
        * (group.channel.experts - group.channel.experts_per_token)
        for group in groups
    )


def _module(matrix: Matrix, copies: int, routed: bool, in_blocks: bool) -> LinearModule:
    return LinearModule(
        name=matrix.path.rpartition(".")[2],
        in_features=matrix.inputs,
        out_features=matrix.outputs,
        copies=copies,
        bias=matrix.bias,
        routed_expert=routed,
        path=matrix.path,
        in_blocks=in_blocks,
        reads=matrix.reads if in_blocks else "",
    )
