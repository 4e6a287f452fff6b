"""What a model is told about a board, and the reference answers; the texts are in folders."""
