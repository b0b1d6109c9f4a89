"""The dynamic replay buffer (paper section 8): what may be drawn, and who decides on it.

`pool` is the state, a fold over events. Admitting, retiring and resting are objects of their own,
which look at the pool and answer with events; only the end of an epoch changes the active set.
docs/pool.md says what is refused, and why.
"""
