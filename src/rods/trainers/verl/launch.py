"""Starts a run on verl: checks the installation and the cluster, then runs its trainer on Ray."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from rods.config import Config
from rods.errors import UserError, shown
from rods.extras import BENCHMARK, VERL, installed, require
from rods.policies.model import settings_of
from rods.renderers.template import COPY
from rods.store.lease import check_free
from rods.trainers.verl.config import verl_config
from rods.trainers.verl.settings import Cluster
from rods.trainers.verl.stopping import Asking, Stopped

TRIED = ("0.9.1",)
"""The versions of verl whose private parts `rods.trainers.verl.engine` was tried with."""
CONNECTING = 10.0  # seconds in which a cluster must answer
REASON = 300  # characters of an error that are shown


def check_installed() -> None:
    """Refuse an environment without verl, or with a version that was not tried.

    Raises:
        UserError: naming the package.
    """
    require(*VERL)
    if find_spec("trl") is not None:
        copy = f"pip install --no-deps --target {COPY.parent} trl==1.16.0"
        why = "verl imports TRL if it finds it, and fails; only TRL's chat templates are needed"
        raise UserError(f"{why}: pip uninstall trl; {copy}")
    version = installed("verl")
    if version not in TRIED:
        tried = ", ".join(TRIED)
        raise UserError(f"verl {version} was not tried; install verl {tried} (make cluster)")


def plan(config: Config, folder: Path, cluster: Cluster) -> dict[str, Any]:
    """verl's whole configuration of a run as plain data, checked by verl's own classes.

    Raises:
        UserError: see `check_installed` and `verl_config`; verl does not accept it.
    """
    check_installed()
    from omegaconf import OmegaConf

    made = _made(config, folder, cluster)
    found: dict[str, Any] = OmegaConf.to_container(made, resolve=True)
    found.pop("rods")
    return found


def _made(config: Config, folder: Path, cluster: Cluster) -> Any:
    """verl's configuration, accepted by verl."""
    from verl.trainer.ppo.utils import need_reference_policy
    from verl.utils.config import validate_config

    from rods.policies.gguf import folder_of

    made = verl_config(config, folder, cluster, folder_of(settings_of(config).model))
    reference = need_reference_policy(made)
    try:
        with redirect_stdout(StringIO()):  # verl prints that all is well
            validate_config(made, use_reference_policy=reference, use_critic=False)
    except (AssertionError, ValueError, TypeError, ImportError) as error:
        raise UserError(f"verl refuses the configuration: {shown(str(error), REASON)}") from None
    return made


def train(config: Config, folder: Path, cluster: Cluster, stopper: Asking | None = None) -> None:
    """Run the closed loop in `folder` on verl, or resume it. The summary is in the folder then.

    Args:
        stopper: entered where the run begins, because Ray sets handlers of signals too.

    Raises:
        KeyboardInterrupt: it was stopped by a signal, after a checkpoint unless there were two.
        UserError: verl or Ray is missing or of another version, the cluster has too few GPUs, the
            folder is in use or holds another run, a server or an actor died, or something else
            that a person can mend.
    """
    check_installed()
    # The driver takes the lease, half a minute later; until then a second command could stop the
    # run that goes on here, or withdraw its stop.
    check_free(folder, "trainer")
    if config.environment.name == "bfcl":
        require(*BENCHMARK)
    made = _made(config, folder, cluster)
    made.rods.host = socket.gethostname()
    with _readable_errors(folder):
        _run(made, cluster, stopper or nullcontext())


def _run(made: Any, cluster: Cluster, stopper: AbstractContextManager[Any]) -> None:
    import ray
    from verl.trainer.main_ppo import run_ppo

    began = not ray.is_initialized()
    if began:
        _connect(made, cluster)
    try:
        check_gpus(made.trainer.n_gpus_per_node * made.trainer.nnodes)
        with stopper:
            run_ppo(made, _runner())
    finally:
        if began:
            ray.shutdown()


def _connect(made: Any, cluster: Cluster) -> None:
    """Start Ray on this machine, or join a cluster."""
    import ray
    from omegaconf import OmegaConf
    from verl.trainer.constants_ppo import get_ppo_ray_runtime_env

    given = OmegaConf.to_container(made.ray_kwargs.ray_init, resolve=True)
    asked = {name: value for name, value in given.items() if value is not None}
    own = {k: v for k, v in (asked.pop("runtime_env", None) or {}).items() if v is not None}
    runtime: dict[str, Any] = get_ppo_ray_runtime_env(made)
    variables = {"TRANSFER_QUEUE_ENABLE": "1", **own.pop("env_vars", {})}
    runtime |= {**own, "env_vars": {**runtime.get("env_vars", {}), **variables}}
    if cluster.address:
        check_reachable(cluster.address)
        asked = {"address": cluster.address}
    else:  # Ray would write a token into the home folder
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        asked = {"address": "local", "include_dashboard": False, **asked}
    try:
        ray.init(**asked, runtime_env=runtime)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = cluster.address or "on this machine"
        raise UserError(f"Ray {where}: {shown(str(error), REASON)}") from None


def check_reachable(address: str) -> None:
    """Refuse the address of a cluster where nothing answers; Ray would try for many minutes.

    Raises:
        UserError: with the reason.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return  # such as "auto", about which Ray itself knows more
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECTING).close()
    except (OSError, OverflowError) as error:
        why = shown(str(error), REASON)
        raise UserError(f"Ray {address}: cannot be reached ({why})") from None


def check_gpus(wanted: int) -> None:
    """Refuse a cluster with fewer GPUs than the run trains on; verl would wait for them.

    Raises:
        UserError: with both numbers.
    """
    import ray

    there = int(ray.cluster_resources().get("GPU", 0))
    if there < wanted:
        nodes = len(ray.nodes())
        raise UserError(
            f"hardware.gpus: the run trains on {wanted} GPUs, and Ray has {there} on {nodes} nodes"
        )


def _runner() -> Any:
    """verl's task runner with our trainer, on this node: the store is a file of it."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
    from verl.trainer.main_ppo import TaskRunnerV1

    here = ray.get_runtime_context().get_node_id()
    runner = ray.remote(runner_class(TaskRunnerV1.__ray_metadata__.modified_class))
    return runner.options(scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False))


def runner_class(base: Any) -> Any:
    """A task runner that knows our trainer and runs only on the node of the store."""

    class RodsRunner(base):  # type: ignore[misc]
        def run(self, config: Any) -> None:
            import rods.trainers.verl.engine  # noqa: F401  # registers the trainer

            check_host(config.rods.host)
            super().run(config)

    return RodsRunner


def check_host(host: str) -> None:
    """Refuse a driver on another machine than the one that started the run.

    Raises:
        UserError: naming both.
    """
    here = socket.gethostname()
    if here != host:
        message = f"the driver runs on {here}, and the run folder is on {host}"
        raise UserError(f"{message}; start the run on the machine where its folder is")


@contextmanager
def _readable_errors(folder: Path) -> Iterator[None]:
    """One line for what can be mended or resumed.

    Raises:
        KeyboardInterrupt: the run was stopped.
        UserError: instead of an error of Ray, of the driver, or of an actor.
    """
    import ray

    try:
        yield
    except UserError as error:  # Ray adds the traceback of the other process to its text
        raise UserError(str(_root(error))) from None
    except ray.exceptions.RayError as error:
        cause = _root(error)
        if isinstance(cause, Stopped):
            raise KeyboardInterrupt from None
        if isinstance(cause, UserError):
            raise UserError(str(cause)) from None
        if not isinstance(cause, ray.exceptions.RayActorError):
            raise
        why = shown(str(cause), REASON)
        message = f"a process of the run has died ({why}); the same command resumes the run"
        raise UserError(f"{folder}: {message}") from None


def _root(error: Any) -> Any:
    """The exception that an actor raised, through the actors that passed it on."""
    while getattr(error, "cause", None) is not None:
        error = error.cause
    return error
