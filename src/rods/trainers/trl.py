"""The loop inside TRL's `GRPOTrainer`: a live stream of tasks, rollouts by `rollout_func`.

Each pass over the stream is one epoch of the loop. TRL reads ahead, so the stream ends where the
loop must have the epoch's groups before it can continue; TRL then calls the generator again. TRL
repeats each task K times, the rollout function plays the whole generation batch, and the loop gets
its groups immediately. Every checkpoint has a consistent state of the store (`Loop.load`).
"""

from __future__ import annotations

import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers.utils.logging as library
from datasets import IterableDataset
from transformers import PreTrainedTokenizerBase, TrainerCallback

from rods.config import Config
from rods.errors import UserError
from rods.files.output import sync_tree
from rods.group import GroupRewards
from rods.loop import Loop
from rods.processes import Stopper
from rods.rollout.policy import Policy
from rods.rollout.rollout import Rollout, group_of
from rods.rollout.runner import Runner

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

MARK = "complete"  # written last into a checkpoint's folder
_LIVE: dict[str, TrlTrainer] = {}
# The plain constant schedule of `transformers` ignores a warm-up.
_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}


class TrlTrainer:
    """Trains one run. After `train`, `finished` says whether it reached the last step.

    Args:
        model: a causal language model that TRL accepts.
        tokenizer: only used by TRL for padding and logging.
        policy: samples from `model`; called before each batch of episodes with a seed and with the
            number of updates that the weights have had, which is their version.
        on_step: called after each update with (step, rollouts, log values of TRL, seconds).
        on_epoch: called when a further epoch begins, with its index and the number of updates so
            far; after a resume it may be called again with the same numbers.
        stopper: after a signal, training ends after the step in progress.
    """

    def __init__(
        self,
        config: Config,
        loop: Loop,
        runner: Runner,
        model: Any,
        tokenizer: PreTrainedTokenizerBase,
        policy: Callable[[int, int], Policy],
        folder: Path,
        on_step: Callable[[int, Sequence[Rollout], dict[str, float], float], None],
        on_epoch: Callable[[int, int], None],
        stopper: Stopper | None = None,
    ) -> None:
        self.config, self.loop, self.runner, self.policy = config, loop, runner, policy
        self.folder, self.on_step, self.on_epoch = folder, on_step, on_epoch
        loop.until = config.steps
        self.stopper, self.finished = stopper or Stopper(), False
        self.rollouts: list[Rollout] = []
        self._clock = time.monotonic()
        self._trainer = self._build(model, tokenizer)

    def train(self) -> None:
        """Train to the last step, from the newest complete checkpoint if there is one.

        After a signal to the stopper, training ends after the step in progress with a checkpoint.
        """
        drop_torn_checkpoints(self.folder)
        checkpoint = latest_checkpoint(self.folder)
        self._clock = time.monotonic()
        self.stopper.safe = True
        try:
            self._trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        finally:
            self.stopper.safe = False
        self.finished = self._trainer.state.global_step >= self.config.steps

    def stream(self) -> Iterator[dict[str, str]]:
        """One epoch of prompts; a prompt is a task's id."""
        before = self.loop.epoch
        while ids := self.loop.next_ids():
            epoch = self.loop.epoch
            if before and epoch and epoch.number > before.number:
                self.on_epoch(epoch.number, self.loop.step)
            before = epoch
            yield from ({"prompt": task_id} for task_id in ids)

    def rollout(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        """TRL's `rollout_func`: play all prompts, give the loop their groups, return token rows."""
        step = trainer.state.global_step + 1
        tasks = [self.loop.task(p) for p in prompts]
        torch.manual_seed(self.config.seed * 1_000_003 + step)  # TRL shuffles the rows of a step
        policy = self.policy(self.config.seed * 1_000_003 + step, step - 1)
        self.rollouts = self.runner.run(tasks, policy)
        self.loop.add_groups(self._groups())
        return {
            "prompt_ids": [r.prompt_ids for r in self.rollouts],
            "completion_ids": [r.completion_ids for r in self.rollouts],
            # Of the policy's own distribution. Without vLLM, TRL puts them into the batch and reads
            # them only for `off_policy_mask_threshold`, which we leave off; the ratio of its loss
            # is to log-probabilities that it computes itself.
            "logprobs": [r.logprobs for r in self.rollouts],
            "env_mask": [r.mask for r in self.rollouts],
            # None where the environment failed: TRL masks the row, and its group's advantages come
            # from the others.
            "reward": [r.reward(self.loop.stage.reward) for r in self.rollouts],
        }

    def _groups(self) -> list[GroupRewards]:
        size, name, rollouts = self.config.rollout.group_size, self.loop.stage.reward, self.rollouts
        return [group_of(rollouts[i : i + size], name) for i in range(0, len(rollouts), size)]

    def _build(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> Any:
        from trl.trainer.grpo_config import GRPOConfig

        from rods.trainers.signal_trainer import SignalTrainer

        config, key = self.config, str(self.folder.resolve())
        _LIVE[key] = self
        arguments = GRPOConfig(
            output_dir=str(self.folder / "checkpoints"),
            max_steps=config.steps,
            per_device_train_batch_size=config.optimizer.microbatch,
            gradient_accumulation_steps=config.rollout.rows // config.optimizer.microbatch,
            num_generations=config.rollout.group_size,
            temperature=config.rollout.temperature,
            learning_rate=config.optimizer.learning_rate,
            lr_scheduler_type=_SCHEDULES[config.optimizer.schedule],
            warmup_steps=config.optimizer.warmup_steps,
            weight_decay=config.optimizer.weight_decay,
            epsilon=config.optimizer.clip_low,
            epsilon_high=config.optimizer.clip_high,
            beta=config.optimizer.kl,
            loss_type=config.optimizer.loss,
            max_completion_length=config.rollout.token_budget,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=not _accelerated(),
            shuffle_dataset=False,
            ignore_data_skip=True,
            save_strategy="steps",
            save_steps=config.checkpoint_steps,
            save_total_limit=2,
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            seed=config.seed,
            dataloader_pin_memory=False,
        )
        trainer = SignalTrainer(
            model=model,
            reward_funcs=_reward_of,
            args=arguments,
            train_dataset=IterableDataset.from_generator(_stream, gen_kwargs={"key": key}),
            processing_class=tokenizer,
            rollout_func=self.rollout,
            callbacks=[_Callback(self)],
        )
        for callback in list(trainer.callback_handler.callbacks):
            if type(callback).__name__ in ("PrinterCallback", "ProgressCallback"):
                trainer.remove_callback(callback)
        return trainer


class _Callback(TrainerCallback):
    def __init__(self, training: TrlTrainer) -> None:
        self.training = training

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.training.stopper.number or state.global_step >= self.training.config.steps:
            control.should_save = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kw: Any) -> None:
        if logs and "loss" in logs:
            training, now = self.training, time.monotonic()
            training.on_step(state.global_step, training.rollouts, logs, now - training._clock)
            training._clock = now

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        sync_tree(folder)
        (folder / MARK).write_text("")
        sync_tree(folder)


def quiet() -> None:
    """Turn off the libraries' progress bars and notes, which would disturb the display."""
    library.set_verbosity_error()  # type: ignore[no-untyped-call]
    library.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl)\b")
    logging.getLogger("trl").setLevel(logging.ERROR)  # lost rollouts are reported by rods.metrics


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint."""
    found = [p.parent for p in (folder / "checkpoints").glob(f"checkpoint-*/{MARK}")]
    return max(found, key=checkpoint_step, default=None)


def drop_torn_checkpoints(folder: Path) -> None:
    """Delete checkpoints that a kill left incomplete; a new one would keep their temporary files.

    Raises:
        UserError: one cannot be deleted.
    """
    for checkpoint in (folder / "checkpoints").glob("checkpoint-*"):
        if not (checkpoint / MARK).exists():
            try:
                shutil.rmtree(checkpoint)
            except OSError as error:
                problem = f"incomplete, and cannot be deleted: {error.strerror}; delete it"
                raise UserError(f"{checkpoint}: {problem}") from None


def checkpoint_step(checkpoint: Path) -> int:
    """Updates that a checkpoint contains."""
    return int(checkpoint.name.rsplit("-", 1)[1])


def _stream(key: str) -> Iterator[dict[str, str]]:
    """A module-level function: `datasets` hashes generator functions and their arguments."""
    yield from _LIVE[key].stream()


def _reward_of(
    prompts: Any, completions: Any, reward: list[float | None], **_: Any
) -> list[float | None]:
    """The rewards are those of the rollouts."""
    return reward


def _accelerated() -> bool:
    return torch.cuda.is_available()
