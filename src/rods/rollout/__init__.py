"""Episodes: an agent meets a task's scripted user and its tools."""
