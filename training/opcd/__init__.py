"""On-policy context distillation, stage 2 of MGSD."""
