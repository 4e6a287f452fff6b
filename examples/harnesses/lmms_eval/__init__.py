"""Planning as a task of lmms-eval."""
