"""Parts of models: how many parameters and FLOPs each has, from its sizes. Knows no family."""
