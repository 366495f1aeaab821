"""Reading a config's keys with the defaults of the family's class in transformers.

The defaults stand in ``class_defaults``: signatures of the configuration classes of transformers 4.57.6
and, for families that came later, 5.24.0 (``scripts/class_defaults.py`` writes it). Knows no family.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.engine.shape.families.class_defaults import CLASS_DEFAULTS
from planner.engine.shape.reading import LARGEST_SIZE, MOST_LAYERS, SpecReader

MOST_EXPERTS = 100_000


class Keys(SpecReader):
    """A config's keys; what is absent takes its class default, and is noted as assumed.

    part: whether this is one part of a model of several, where the main sizes have defaults too; absent: a
    part that the config leaves out altogether, so that all of it is the class default.
    """

    def __init__(self, values: Mapping[str, Any], field: str, model_type: str, *, part: bool = False) -> None:
        super().__init__(values, field)
        self.model_type = model_type
        self.part = part
        self.absent = False
        self.defaults = CLASS_DEFAULTS.get(model_type, {})

    def sub(self, key: str, model_type: str) -> Keys:
        """The reader of one part's config; its problems are noted with the whole's."""
        values = self.mapping(key)
        reader = Keys(values, f"{self.field}.{key}", str(values.get("model_type") or model_type), part=True)
        if not reader.defaults:
            reader.defaults = CLASS_DEFAULTS.get(model_type, {})
        reader.errors, reader.assumed = self.errors, self.assumed
        reader.absent = not self.has(key)
        self.parts.append((key, reader))
        return reader

    def main(self, *keys: str, largest: int = LARGEST_SIZE) -> int:
        """One of the sizes that say which model it is: it must be there, except in a part."""
        if self.part and not any(self.has(key) for key in keys) and self._default(keys) is not None:
            return self.whole(*keys)
        return self.required_size(*keys, largest=largest)

    def layers(self, *keys: str) -> int:
        """How many blocks."""
        return self.main(*(keys or ("num_hidden_layers",)), largest=MOST_LAYERS)

    def whole(
        self, *keys: str, default: int | None = None, null: int | None = None, smallest: int = 0
    ) -> int:
        """A whole number under any of its names, else the class default, else ``default``.

        null: what null means (absent: the same as leaving the key out).
        """
        key = self.first_present(keys)
        if self.has(key):
            return self._whole_number(key, smallest=smallest, largest=LARGEST_SIZE)
        if null is not None and any(name in self.values for name in keys):
            return null
        standing = self._default(keys)
        if standing is None:
            standing = default
        if standing is None:
            if null is not None:
                return null
            self.problem(keys[0], "This key is missing.", f"Add {keys[0]}, a whole number.")
            return max(smallest, 1)
        if not any(name in self.values for name in keys):
            self.assumed[keys[0]] = standing
        return standing

    def switch(self, *keys: str, default: bool = False) -> bool:
        """true or false, else the class default."""
        key = self.first_present(keys)
        standing = next(
            (self.defaults[name] for name in keys if isinstance(self.defaults.get(name), bool)), None
        )
        return self.flag(key, default if standing is None else standing)

    def share(self, key: str, default: float) -> float:
        """A positive number that need not be whole."""
        value = self.values.get(key) if self.has(key) else self.defaults.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LARGEST_SIZE:
            self.problem(
                key, "A positive number is wanted here.", f"Give {key} as a number, or leave it out."
            )
            return default
        return float(value)

    def _default(self, keys: tuple[str, ...]) -> int | None:
        for key in keys:
            value = self.defaults.get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        return None

    def kinds(self, key: str, layers: int, usual: list[str] | None = None) -> list[str]:
        """One word a block; as many as there are blocks, or that is a problem."""
        named = self.items(key)
        if named is None:
            return usual if usual is not None else []
        if len(named) != layers or not all(isinstance(kind, str) for kind in named):
            self.problem(
                key,
                f"It names {len(named)} layers, but there are {layers}.",
                "Give one entry a layer.",
            )
            return usual if usual is not None else [str(kind) for kind in named[:layers]]
        return named

    def experts(self, key: str, *per_token: str, known: bool = True) -> tuple[int, int]:
        """(experts, how many a token visits), both there; one without the other makes no sense."""
        if not self.has(key):
            self.problem(key, "A mixture of experts needs the number of its experts.", f"Add {key}.")
        count = self.whole(key, default=1, smallest=1)
        if count > MOST_EXPERTS:
            self.problem(key, "This is too large.", f"Give {key} as a whole number up to {MOST_EXPERTS:,}.")
            count = 1
        name = self.first_present(per_token)
        if not self.has(name):
            self.problem(
                name,
                "A mixture of experts needs the number of experts that each token visits.",
                f"Add {name}.",
            )
        visited = self.whole(name, default=1, smallest=1)
        self.must_not_exceed(name, visited, key, count, f"A token cannot visit {visited} of {count} experts.")
        return count, min(visited, count)
