"""Our boards in the harnesses that people already use, each in one file or folder."""
