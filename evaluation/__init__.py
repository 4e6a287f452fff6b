"""What an agent is worth: planning and perception rates with intervals, run folders and reports."""
