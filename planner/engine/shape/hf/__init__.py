"""Reading Hugging Face ``config.json`` contents into ``ModelSpec``: one file a group of families."""
