"""The rules' ground: layouts, tasks, tables, solver, generator, splits."""
