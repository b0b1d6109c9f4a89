"""The values of verl's settings that a run asks for, as plain data; verl is not needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from rods.config import Config
from rods.errors import UserError
from rods.files.reading import Setting
from rods.policies.model import ModelSettings, settings_of
from rods.trainers.checkpoints import FOLDER
from rods.trainers.verl.row import AGENT, NOTHING, TRAIN

LOSSES = {"grpo": "seq-mean-token-mean", "dapo": "token-mean", "dr_grpo": "seq-mean-token-sum-norm"}
SEEDS = {"vllm": "seed", "sglang": "sampling_seed"}
"""What the servers call the random seed of a request."""
NO_DUAL_CLIP = 1e9
"""verl limits the loss of a negative advantage where the ratio is above this number; TRL does not.
verl bounds the ratio by e^20, which is less, so this limit never acts."""
PROMPT_SHARE = 4  # a quarter of the token budget, as in EnvTuning: 8192 of 32768 tokens
WORKERS = 8  # processes that play episodes


class Cluster(Setting):
    """Where and how verl runs; no part of a run's identity."""

    nodes: int = Field(1, ge=1, description="machines, with equally many GPUs each")
    address: str | None = Field(None, description="of a Ray cluster; None: Ray on this machine")
    rollout: str = Field("vllm", description="what samples: vllm or sglang")
    workers: int = Field(WORKERS, ge=1, description="processes that play episodes")
    makers: int = Field(
        0, ge=0, description="processes that make variants, with synthesis.mode inline; 0: none"
    )
    seeded: bool = Field(
        True, description="each request has a random seed, so that a run can be repeated"
    )
    overrides: tuple[str, ...] = Field(
        (),
        description="verl's own settings that RODS does not set, as a.b=c; +a.b=c adds one that"
        " verl does not list",
    )


def settings(config: Config, folder: Path, cluster: Cluster) -> dict[str, Any]:
    """verl's settings by their path.

    Raises:
        UserError: the configuration asks for something that verl, or this adapter, does not have.
    """
    model = _model_of(config)
    optimizer, rollout = config.optimizer, config.rollout
    gpus = config.hardware.processes
    if gpus % cluster.nodes:
        raise UserError(f"hardware.gpus: {gpus} GPUs cannot be divided among {cluster.nodes} nodes")
    if rollout.dynamic:
        raise UserError("rollout.dynamic: not with --engine verl; set it to 0")
    if optimizer.schedule == "linear":
        raise UserError("optimizer.schedule: verl has constant and cosine, not linear")
    _check_makers(config, cluster)
    prompt = rollout.token_budget // PROMPT_SHARE
    return {
        **_trainer(config, folder, gpus // cluster.nodes, cluster.nodes),
        **_under(
            "data",
            train_files=TRAIN,
            val_files=NOTHING,
            train_batch_size=rollout.tasks_per_step,
            gen_batch_size=None,  # the same
            val_batch_size=1,
            max_prompt_length=prompt,
            max_response_length=rollout.token_budget - prompt,
            shuffle=False,
            dataloader_num_workers=0,
            seed=config.seed,
        ),
        "data.custom_cls.path": "pkg://rods.trainers.verl.tasks",
        "data.custom_cls.name": "StepTasks",
        **_under(
            "algorithm", adv_estimator="grpo", norm_adv_by_std_in_grpo=True, use_kl_in_reward=False
        ),
        "algorithm.filter_groups.enable": False,  # the loop counts each group once
        **_actor(config, model),
        **_rollout(config, model, cluster),
        **_under("actor_rollout_ref.model", **_model(model)),
        "reward.num_workers": 0,  # rewards come with the rollouts
    }


def _check_makers(config: Config, cluster: Cluster) -> None:
    synthesis = config.synthesis
    if not cluster.makers:
        return
    if synthesis.mode != "inline" or config.arm != "rods":
        raise UserError("--makers: only with --arm rods and synthesis.mode=inline")
    if synthesis.endpoint is not None:  # its journal of calls is a file of one process
        raise UserError("--makers: not with synthesis.endpoint, whose model works in the driver")


def _trainer(config: Config, folder: Path, gpus: int, nodes: int) -> dict[str, Any]:
    return _under(
        "trainer",
        n_gpus_per_node=gpus,
        nnodes=nodes,
        total_training_steps=config.steps,
        total_epochs=config.steps + 1,  # an epoch of verl is a step of ours
        save_freq=config.checkpoint_steps,
        test_freq=-1,
        val_before_train=False,
        default_local_dir=str(folder.absolute() / FOLDER),
        max_actor_ckpt_to_keep=None,  # the driver deletes old checkpoints
        del_local_ckpt_after_load=False,
        resume_mode="disable",  # the driver sets it
        critic_warmup=0,
        project_name="rods",
        experiment_name=config.run_name or folder.absolute().name,
        logger=["console", *config.report_to],
        use_v1=True,
    ) | {
        "trainer.v1.trainer_mode": AGENT,
        "trainer.v1.sampler.custom_sampler.path": "pkg://rods.trainers.verl.engine",
        "trainer.v1.sampler.custom_sampler.name": "WatchedBuffer",
        "trainer.v1.sampler.sync_refill_failed_groups": False,
    }


def _actor(config: Config, model: ModelSettings) -> dict[str, Any]:
    optimizer, rollout = config.optimizer, config.rollout
    half = model.dtype != "float32"
    actor = _under(
        "actor_rollout_ref.actor",
        strategy="fsdp2",
        ppo_mini_batch_size=rollout.tasks_per_step,  # one update a step
        ppo_micro_batch_size_per_gpu=optimizer.microbatch,
        ppo_epochs=1,
        use_dynamic_bsz=False,
        shuffle=False,
        data_loader_seed=config.seed,
        clip_ratio=optimizer.clip_low,
        clip_ratio_low=optimizer.clip_low,
        clip_ratio_high=optimizer.clip_high,
        clip_ratio_c=NO_DUAL_CLIP,
        loss_agg_mode=LOSSES[optimizer.loss],
        loss_scale_factor=rollout.token_budget if optimizer.loss == "dr_grpo" else None,
        entropy_coeff=0.0,
        use_kl_loss=optimizer.kl > 0,
        kl_loss_coef=optimizer.kl,
        kl_loss_type="low_var_kl",
        grad_clip=optimizer.max_norm,
    )
    optim = _under(
        "actor_rollout_ref.actor.optim",
        lr=optimizer.learning_rate,
        lr_scheduler_type=optimizer.schedule,
        lr_warmup_steps=optimizer.warmup_steps,
        weight_decay=optimizer.weight_decay,
        clip_grad=optimizer.max_norm,
    )
    engine = {"model_dtype": "fp32", "dtype": "bfloat16" if half else "float32"}
    engine["seed"] = config.seed  # type: ignore[assignment]
    fsdp = _under("actor_rollout_ref.actor.fsdp_config", strategy="fsdp2", **engine)
    ref = _under("actor_rollout_ref.ref.fsdp_config", strategy="fsdp2", **engine)
    batch = {"actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": optimizer.microbatch}
    return {**actor, **optim, **fsdp, **ref, **batch}


def _rollout(config: Config, model: ModelSettings, cluster: Cluster) -> dict[str, Any]:
    rollout, vllm = config.rollout, model.vllm
    if cluster.rollout not in SEEDS:
        raise UserError(f"--rollout {cluster.rollout}: choose one of {', '.join(SEEDS)}")
    return _under(
        "actor_rollout_ref.rollout",
        name=cluster.rollout,
        n=rollout.group_size,
        temperature=rollout.temperature,
        top_p=1.0,
        top_k=-1,
        seed=config.seed,
        dtype="float32" if model.dtype == "float32" else "bfloat16",
        max_model_len=rollout.token_budget,
        max_num_seqs=max(1, min(256, rollout.rows)),
        gpu_memory_utilization=vllm.memory_share,
        tensor_model_parallel_size=vllm.tensor_parallel,
        free_cache_engine=vllm.sleep,
        calculate_log_probs=True,
        log_prob_micro_batch_size_per_gpu=config.optimizer.microbatch,
    ) | _under(
        "actor_rollout_ref.rollout.agent",
        num_workers=cluster.workers,
        default_agent_loop=AGENT,
        agent_loop_config_path=str(Path(__file__).with_name("agent.yaml")),
    )


def _model(model: ModelSettings) -> dict[str, Any]:
    found: dict[str, Any] = {"enable_gradient_checkpointing": model.gradient_checkpointing}
    if model.revision:
        raise UserError("policy.revision: verl reads no revision; name a folder in policy.model")
    if lora := model.lora:
        if lora.dropout:
            raise UserError("policy.lora.dropout: verl has none with FSDP; set it to 0")
        one = lora.targets[0] if len(lora.targets) == 1 else list(lora.targets)
        found |= {"lora_rank": lora.rank, "lora_alpha": lora.alpha, "target_modules": one}
    return found


def _model_of(config: Config) -> ModelSettings:
    if not isinstance(config.policy, ModelSettings):
        name = config.policy.name
        raise UserError(f"policy.name: {name}: verl trains models of transformers (model) only")
    return settings_of(config)


def _under(path: str, **values: Any) -> dict[str, Any]:
    return {f"{path}.{name}": value for name, value in values.items()}
