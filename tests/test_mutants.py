"""The table of mutations stays in step with the code."""

import pytest

from scripts.mutants import rotten
from scripts.mutations import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: f"{each.path}: {each.says}")
def test_a_mutation_s_text_stands_once_and_its_tests_exist(mutation: Mutation) -> None:
    assert rotten(mutation) == ""
    assert mutation.old != mutation.new


def test_every_mutation_is_told_apart() -> None:
    assert len({(each.path, each.says) for each in MUTATIONS}) == len(MUTATIONS) >= 60
