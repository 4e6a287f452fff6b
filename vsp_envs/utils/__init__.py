"""What knows nothing of boards: choices by name, files, the command line."""
