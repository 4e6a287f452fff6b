"""The model that is trained: its parts, its shards, its tiny form."""
