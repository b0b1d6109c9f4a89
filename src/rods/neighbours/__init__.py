"""Other programs play our tasks, each by its own interface: TRL, verifiers, OpenEnv, NeMo Gym."""
