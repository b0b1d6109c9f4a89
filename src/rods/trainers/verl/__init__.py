"""The loop inside verl's trainer on Ray (tried with verl 0.9.1).

One process, the driver, has the loop and the store. The actors that play episodes and those that
train know neither: a task travels whole in its row, and a rollout's result travels back in it.
"""
