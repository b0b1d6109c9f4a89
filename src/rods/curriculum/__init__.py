"""Decides what is trained next: the pool of tasks, and the rules that choose, admit and retire.

`Curriculum` composes the rules. It knows task ids, categories and rewards; it knows nothing of a
task's content, of the store or of a trainer. docs/pool.md says what is refused, and why.
"""
