"""Tasks without a human task: start states and tools become calls, words and a ladder of tasks."""
