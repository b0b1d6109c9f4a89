"""Decides what is trained next: the pool of tasks, and the rules that choose, admit and retire.

See sections 5 and 8 of the paper. `Curriculum` composes the rules. It uses task ids, categories and
rewards only: no content of a task, no store, no engine. docs/pool.md says what is refused, and why.
"""
