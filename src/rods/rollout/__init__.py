"""Episodes: an agent plays a task with its scripted user and its tools."""
