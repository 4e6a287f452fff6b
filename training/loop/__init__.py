"""What every stage shares: the trainer, its run folder, its checkpoints."""
