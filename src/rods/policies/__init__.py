"""Kinds of policy, the tasks that they play, and policies over models of other libraries."""
