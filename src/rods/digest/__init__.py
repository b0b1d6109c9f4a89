"""A run's store in a form that pages can ask: counted, and with indexes.

The store of a run has the indexes that its trainer needs and no others. A digest is a second file
beside the cache of the person who looks: it follows the store row by row, so the trainer pays
nothing for what is shown, and a page asks a store of a million tasks as quickly as an empty one.
"""
