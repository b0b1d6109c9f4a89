"""The loop inside TRL's `GRPOTrainer`: a live stream of tasks, rollouts by `rollout_func`.

Each pass over the stream is one epoch of the loop. TRL reads ahead, so the stream ends where the
loop must have the epoch's groups before it can continue; TRL then calls the generator again. TRL
repeats each task K times, the rollout function plays the whole generation batch, and the loop gets
its groups immediately. Every checkpoint has a consistent state of the store (`Loop.load`).

Several processes: only the first has the loop. It sends each step's tasks to the others, which all
run the stream in step. Each process plays its part of the rows, and the first puts the groups
together, because a group may be played by two processes.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers.utils.logging as library
from datasets import IterableDataset
from transformers import TrainerCallback

from rods.clock import StepClock, StepTime
from rods.config import Config
from rods.envs.hints import Hinter
from rods.group import GroupRewards
from rods.loop import Loop
from rods.policies.registry import EPISODE, LoadedPolicy
from rods.processes import Stopper
from rods.ranks import Ranks
from rods.rollout.policy import CollectivePolicy
from rods.rollout.rollout import Rollout, group_of
from rods.rollout.runner import Runner
from rods.stages import Stage
from rods.task import Task
from rods.trainers.arguments import grpo_arguments
from rods.trainers.checkpoints import drop_torn_checkpoints, latest_checkpoint, mark_complete
from rods.trainers.dynamic import DynamicSampling, Row

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

OnStep = Callable[[int, Sequence[Rollout], dict[str, float], StepTime], Mapping[str, float] | None]
_LIVE: dict[str, TrlTrainer] = {}


class Batch(NamedTuple):
    """What the first process sends to the others before a training step.

    Attributes:
        ids: of the step's tasks; none if the stream ends here.
        tasks: those that were not sent before.
        stage: of training.
    """

    ids: Sequence[str]
    tasks: list[Task]
    stage: Stage


class TrlTrainer:
    """Trains one run. After `train`, `finished` says whether it reached the last step.

    Args:
        loop: None in all processes but the first.
        policy: `seeded` is called before each batch of episodes with a random seed and with the
            number of updates that the weights have had, which is their version.
        on_step: called in the first process after each update with (step, rollouts, log values of
            TRL, time); returns values for the trackers.
        on_epoch: called in all processes when an epoch has ended, with the index of the next one
            and the number of updates so far; after a resume it may be called again with the same
            numbers.
        stopper: after a signal, training ends after the step in progress.

    Attributes:
        finished: whether the last step was reached.
        rollouts: of the latest step.
        dynamic: holds the groups for the next update, with dynamic sampling.
        updates: whether the step in progress updates the weights.
    """

    def __init__(
        self,
        config: Config,
        loop: Loop | None,
        runner: Runner,
        policy: LoadedPolicy,
        folder: Path,
        on_step: OnStep,
        on_epoch: Callable[[int, int], None],
        stopper: Stopper | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.config, self.loop, self.runner, self.policy = config, loop, runner, policy
        self.folder, self.on_step, self.on_epoch = folder, on_step, on_epoch
        self.ranks = ranks or Ranks()
        if loop is not None:
            loop.until = config.steps
        self.stopper, self.finished = stopper or Stopper(), False
        self.rollouts: list[Rollout] = []
        playing = config.rollout
        self.dynamic = (
            DynamicSampling(playing.tasks_per_step, playing.dynamic) if playing.dynamic else None
        )
        self.updates = True
        self._tasks: dict[str, Task] = {}
        self._stage, self._hinter = config.stages[0], Hinter()
        self._clock = StepClock()
        self._trainer = self._build()
        policy.attach(self._trainer)

    def train(self) -> None:
        """Train to the last step, from the newest complete checkpoint if there is one.

        After a signal to the stopper, training ends after the step in progress with a checkpoint.
        """
        self.ranks.decide(lambda: drop_torn_checkpoints(self.folder))
        checkpoint = self.ranks.decide(lambda: latest_checkpoint(self.folder))
        if checkpoint and self.dynamic:
            self.dynamic.load(checkpoint)
        self._clock.restart()
        self.stopper.safe = True
        try:
            self._trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        finally:
            self.stopper.safe = False
        self.finished = self._trainer.state.global_step >= self.config.steps

    def stream(self) -> Iterator[dict[str, str]]:
        """One epoch of prompts; a prompt is a task's id."""
        while True:
            if ended := self.ranks.decide(self._ended):
                with self._clock.part("held-out tasks"):
                    self.on_epoch(*ended)
            with self._clock.part("pool"):
                batch = self.ranks.decide(self._next)
            self._tasks |= {task.id: task for task in batch.tasks}
            self._stage = batch.stage
            self.ranks.agree("the tasks", ",".join(self._tasks[i].id for i in batch.ids))
            if not batch.ids:
                return
            yield from ({"prompt": task_id} for task_id in batch.ids)

    def rollout(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        """TRL's `rollout_func`: play all prompts, give the loop their groups, return token rows."""
        step = trainer.state.global_step + 1
        seed = self.config.seed * 1_000_003 + step
        torch.manual_seed(seed)  # TRL shuffles the rows of a step
        first = self.ranks.rank * len(prompts)
        policy = self.policy.seeded(seed + first * EPISODE, step - 1)
        self.runner.hinter = self._hinter if self._stage.hints else None
        with self._clock.part("rollouts"):
            rollouts = self.runner.run([self._tasks[prompt] for prompt in prompts], policy)
        self.runner.hinter = None  # held-out tasks are always played without hints
        if isinstance(policy, CollectivePolicy):
            policy.finish()
        alone = self.ranks.size == 1
        played = self.ranks.collect(rollouts if alone else [*map(_without_tokens, rollouts)])
        self.rollouts = [*chain(*played)]
        with self._clock.part("pool"):
            self.ranks.decide(self._add_groups)
        rows = self._updating([self._row(rollout) for rollout in rollouts])
        return {
            "prompt_ids": [row.prompt_ids for row in rows],
            "completion_ids": [row.completion_ids for row in rows],
            # Of the policy's own distribution. TRL reads them if vLLM sampled, to correct for its
            # arithmetic, and for `off_policy_mask_threshold`, which is off. Otherwise the ratio of
            # its loss is to log-probabilities that it computes itself.
            "logprobs": [row.logprobs for row in rows],
            "env_mask": [row.mask for row in rows],
            # None where the environment failed: TRL masks the row, and its group's advantages come
            # from the others.
            "reward": [row.reward for row in rows],
        }

    def _row(self, rollout: Rollout) -> Row:
        reward = rollout.reward(self._stage.reward)
        ids, written = rollout.prompt_ids, rollout.completion_ids
        return Row(ids, written, rollout.logprobs, rollout.mask, reward)

    def _updating(self, rows: list[Row]) -> list[Row]:
        """The rows of this step's update; rows without rewards where it makes none."""
        if self.dynamic is None:
            return rows
        size = self.config.rollout.group_size
        chosen = self.dynamic.add([rows[i : i + size] for i in range(0, len(rows), size)])
        self.updates = chosen is not None
        return chosen or [row._replace(reward=None) for row in rows]

    @property
    def _loop(self) -> Loop:
        """Of the first process."""
        assert self.loop is not None
        return self.loop

    def _ended(self) -> tuple[int, int] | None:
        """Index of the next epoch and number of updates, if an epoch has all its groups."""
        loop = self._loop
        if loop.epoch is None or not loop.epoch_done() or loop.step >= self.config.steps:
            return None
        return loop.epoch.number + 1, loop.step

    def _next(self) -> Batch:
        loop = self._loop
        ids = loop.next_ids()
        new = [loop.task(i) for i in dict.fromkeys(ids) if i not in self._tasks]
        return Batch(ids, new, loop.stage)

    def _add_groups(self) -> None:
        self._loop.add_groups(self._groups())

    def _groups(self) -> list[GroupRewards]:
        size, rollouts = self.config.rollout.group_size, self.rollouts
        whole = [rollouts[i : i + size] for i in range(0, len(rollouts), size)]
        return [group_of(group, self._stage.reward) for group in whole]

    def log(self, logs: dict[str, float]) -> Mapping[str, float]:
        """Report the step that TRL logs; returns values for the trackers."""
        if "loss" not in logs:
            return {}
        step, rollouts, took = self._trainer.state.global_step, self.rollouts, self._clock.step()
        return self.ranks.decide(lambda: self.on_step(step, rollouts, logs, took)) or {}

    def _build(self) -> Any:
        from trl.trainer.grpo_config import GRPOConfig

        from rods.trainers.signal_trainer import SignalTrainer

        key, policy = str(self.folder.resolve()), self.policy
        _LIVE[key] = self
        arguments = grpo_arguments(self.config, self.folder, self.ranks, policy.arguments)
        trainer = SignalTrainer(
            model=policy.model,
            reward_funcs=_reward_of,
            args=GRPOConfig(**arguments),
            train_dataset=IterableDataset.from_generator(_stream, gen_kwargs={"key": key}),
            processing_class=policy.tokenizer,
            rollout_func=self.rollout,
            callbacks=[_Callback(self)],
            more_logs=self.log,
        )
        for callback in list(trainer.callback_handler.callbacks):
            if type(callback).__name__ in ("PrinterCallback", "ProgressCallback"):
                trainer.remove_callback(callback)
        return trainer


class _Callback(TrainerCallback):
    def __init__(self, training: TrlTrainer) -> None:
        self.training = training

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.training.updates:  # without gradients an optimizer changes nothing
            kwargs["model"].zero_grad(set_to_none=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        stopped = any(self.training.ranks.gather(bool(self.training.stopper.number)))
        if stopped or state.global_step >= self.training.config.steps:
            control.should_save = control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.training.ranks.gather(None)  # each process has written its files
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if self.training.dynamic:
            self.training.dynamic.save(checkpoint)
        if self.training.ranks.first:
            mark_complete(checkpoint)


def quiet() -> None:
    """Turn off the libraries' progress bars and notes, which would disturb the display."""
    library.set_verbosity_error()  # type: ignore[no-untyped-call]
    library.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl)\b")
    logging.getLogger("trl").setLevel(logging.ERROR)  # lost rollouts are reported by rods.metrics


def _without_tokens(rollout: Rollout) -> Rollout:
    """What the other processes need of a rollout; its mask counts its tokens."""
    return rollout._replace(prompt_ids=[], completion_ids=[], logprobs=[])


def _stream(key: str) -> Iterator[dict[str, str]]:
    """A module-level function: `datasets` hashes generator functions and their arguments."""
    yield from _LIVE[key].stream()


def _reward_of(
    prompts: Any, completions: Any, reward: list[float | None], **_: Any
) -> list[float | None]:
    """The rewards are those of the rollouts."""
    return reward
