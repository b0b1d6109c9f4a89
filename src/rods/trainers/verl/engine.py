"""verl's synchronous trainer with our loop. All that we rely on in private parts of verl is here.

Tried with verl 0.9.1. `tests/cluster/test_private_parts.py` fails if a new version has moved one of
them. What is private there, and what we rely on:

- `PPOTrainer._balance_batch(batch, metrics)` is called once a step with all rollouts of the step,
  after they were played and before any padding is added. The groups are observed here.
- `PPOTrainer._compute_advantage(batch, metrics)` reads the field `uid` of each row and forms groups
  by it, and writes the fields `advantages` and `returns`.
- `PPOTrainer._save_checkpoint()` writes `global_step_N` in `trainer.default_local_dir` and returns
  when all processes have written; `_load_checkpoint()` sets `global_steps`, and reads the state of
  the data reader from `data.pt` if there is one.
- `PPOTrainer.trainer_mode` decides whether batches are of one step; any name but "sync" means no.
- `ReplayBuffer._wait_for_next_poll` is called while verl waits for rollouts, each `poll_interval`
  seconds. It waits for ever if a process that plays has died, so that is noticed here.
- `main_ppo.TaskRunnerV1` is an actor of Ray; `launch` extends its class (`__ray_metadata__`), so
  that this module is imported in the driver.
- An epoch of verl is a pass over its data set, which is one step of ours long (`tasks`).
- `transfer_queue.kv_batch_get` and `kv_batch_put` read and overwrite fields of rows by key.

Imported only where verl is installed, and in the driver only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray
import torch
import transfer_queue as tq
from tensordict import TensorDict
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from rods.config import Config
from rods.errors import UserError, shown
from rods.trainers.verl.driver import Driver
from rods.trainers.verl.makers import RayExecutor
from rods.trainers.verl.player import Answer, ServerPolicy
from rods.trainers.verl.row import AGENT, KEY, MOST_ERROR, Result
from rods.trainers.verl.stopping import Stopped, stop_asked
from rods.trainers.verl.watch import Lines

LOGS = {"loss": "actor/pg_loss", "grad_norm": "actor/grad_norm"}
"""Our names of values that verl logs."""
POLL = 0.5  # seconds; verl's own two are long for a step of a small model
PLAIN = {"top_p": 1.0, "top_k": -1, "repetition_penalty": 1.0}


class WatchedBuffer(ReplayBuffer):  # type: ignore[misc]  # verl has no types
    """verl's own buffer, which is told if a process that plays has died.

    Attributes:
        check: called each `POLL` seconds while rollouts are awaited.
    """

    check: Callable[[], None] | None = None

    def _wait_for_next_poll(self, *arguments: Any) -> Any:
        if self.check is not None:
            self.check()
        return super()._wait_for_next_poll(*arguments)


class Alive:
    """Whether the processes that play are alive, by a message to each that is still unanswered."""

    def __init__(self, workers: Sequence[Any]) -> None:
        self._workers = workers
        self._asked = [worker.__ray_ready__.remote() for worker in workers]

    def check(self) -> None:
        """Ask again where the last message was answered.

        Raises:
            UserError: one has died.
        """
        answered, _ = ray.wait(self._asked, num_returns=len(self._asked), timeout=0)
        for place, asked in enumerate(self._asked):
            if asked not in answered:
                continue
            try:
                ray.get(asked)
            except ray.exceptions.RayActorError as error:
                why = shown(str(error), MOST_ERROR)
                message = f"a process that plays episodes has died ({why})"
                raise UserError(f"{message}; the same command resumes the run") from None
            self._asked[place] = self._workers[place].__ray_ready__.remote()


@register_trainer(AGENT)
class RodsTrainer(PPOTrainerSync):  # type: ignore[misc]  # verl has no types
    """Trains one run. Made by verl in the driver.

    Raises:
        UserError: see `Driver`.
    """

    def __init__(self, config: Any) -> None:
        ours, trainer = config.rods, config.trainer
        self._seeds = ours.seeds
        settings, folder = Config.model_validate_json(ours.config), Path(ours.folder)
        self._makers = RayExecutor(settings, ours.makers) if ours.makers else None
        self.driver = Driver(settings, folder, Lines(), self._policy, self._makers)
        checkpoint = self.driver.checkpoint
        trainer.resume_mode = "resume_path" if checkpoint else "disable"
        trainer.resume_from_path = str(checkpoint) if checkpoint else None
        self._stopping = False
        self._quiet: dict[str, bool] = {}  # keys of rows without an advantage
        super().__init__(config)

    @property
    def trainer_mode(self) -> str:
        """What verl asks for the order of its work; our name would mean asynchronous."""
        return "sync"

    @trainer_mode.setter
    def trainer_mode(self, name: str) -> None:
        """verl sets the name under which it found the trainer."""

    def fit(self, agent_loop_manager: Any) -> None:
        """Train to the last step, then measure and write the summary."""
        self.replay_buffer.poll_interval = POLL
        self.replay_buffer.check = Alive(agent_loop_manager.agent_loop_workers).check
        try:
            with self.driver.worker():
                super().fit(agent_loop_manager)
            self.driver.finish()
        finally:
            self.driver.close()
            if self._makers is not None:
                self._makers.close()

    def on_train_begin(self) -> None:
        super().on_train_begin()
        self.driver.begin_training()

    def on_step_begin(self) -> None:
        super().on_step_begin()
        if self._stopping:
            raise Stopped
        self.driver.begin_step()

    def on_step_end(self) -> None:
        """After a signal: save the step. The run ends when verl has logged it."""
        super().on_step_end()
        self._stopping = stop_asked(self.driver.folder)
        if self._stopping and not self.driver.is_saved(self.global_steps):
            self._save_checkpoint()

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> Any:
        """One training step; its values for the trackers are added to `metrics`.

        The step is reported here and not at the end of verl's loop, because a checkpoint of it must
        find its line in the store.
        """
        batch = super().step(metrics, timing_raw)
        logs = {ours: float(metrics[name]) for ours, name in LOGS.items() if name in metrics}
        metrics.update(self.driver.report(logs))
        return batch

    def _balance_batch(self, batch: Any, metrics: dict[str, Any], *more: Any, **named: Any) -> Any:
        self._observe(batch)
        return super()._balance_batch(batch, metrics, *more, **named)

    def _observe(self, batch: Any) -> None:
        """Give the driver the results, and take lost rollouts out of their groups.

        A group of its own has the advantage of its reward, which is 0 for a lost rollout.
        """
        data = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"]
        )
        extras = [getattr(extra, "data", extra) for extra in data["extra_fields"]]
        results = [Result.read(extra[KEY]) for extra in extras]
        found = self.driver.observe(results)
        # verl has them in the order in which they ended; sums of floats depend on it.
        order = sorted(range(len(results)), key=lambda i: (results[i].place, results[i].session))
        batch.reorder(order)
        places = dict(zip(batch.keys, (results[i] for i in order), strict=True))
        lost = [key for key, r in places.items() if (r.place, r.session) in found.lost]
        silent = [key for key, r in places.items() if r.place in found.silent]
        self._quiet = dict.fromkeys([*lost, *silent], True)
        if lost:
            alone = TensorDict({"uid": [f"lost{key}" for key in lost]}, batch_size=len(lost))
            tq.kv_batch_put(keys=lost, partition_id=batch.partition_id, fields=alone)

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """verl's advantages; exactly zero in groups whose rewards are exactly equal.

        verl takes the mean in float32, which need not be the common reward.
        """
        batch = super()._compute_advantage(batch, metrics)
        keys = [key for key in batch.keys if key in self._quiet]
        if keys:
            names = ["advantages", "returns"]
            data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=names)
            zero = {name: torch.zeros_like(data[name]) for name in names}
            tq.kv_batch_put(
                keys=keys,
                partition_id=batch.partition_id,
                fields=TensorDict(zero, batch_size=len(keys)),
            )
        return batch

    def _save_checkpoint(self) -> None:
        super()._save_checkpoint()
        folder = Path(self.config.trainer.default_local_dir) / f"global_step_{self.global_steps}"
        (folder / "data.pt").unlink(missing_ok=True)  # the loop knows which tasks come next
        self.driver.saved(folder)

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        if self.global_steps != self.driver.step:
            there = f"the pool is at step {self.driver.step}, the weights at {self.global_steps}"
            raise UserError(f"{self.driver.folder}: {there}")

    def _policy(self, seed: int, step: int) -> ServerPolicy:
        return ServerPolicy(self._ask, f"held-out-{seed}-{step}", PLAIN, self._seeds)

    async def _ask(self, name: str, ids: list[int], parameters: dict[str, Any]) -> Answer:
        made = await self.get_llm_client().generate(
            request_id=name, prompt_ids=ids, sampling_params=parameters
        )
        return Answer(made.token_ids, made.log_probs, made.extra_fields.get("global_steps"))
