"""Each episode goes its own way: no round is waited for, nothing stops the event loop, and what
ends a run early closes its sessions."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from fragile import Fragile
from replay import Ids, Replay
from rods.envs.base import Outcome, Work
from rods.envs.bfcl import BfclEnvironment, BfclSession
from rods.envs.calls import CallLimits
from rods.envs.guard import GuardedEnvironment
from rods.errors import NoProcessError
from rods.processes import Stopper
from rods.reward import GoldTrace
from rods.rollout.episode import Ending
from rods.rollout.policy import Generation, Sampling
from rods.rollout.runner import Runner
from rods.task import Task
from test_runner import ENV, LIMITS, RENDERER, carried, gold

PATIENCE = 60.0  # seconds, after which something that waits is taken for stuck


class Counted(BfclEnvironment):
    """Knows which sessions are open, and what was handed to it together."""

    def __init__(self) -> None:
        super().__init__()
        self.open_sessions: set[int] = set()
        self.visits: list[int] = []
        self.opened = 0

    def open(self, task: Task) -> BfclSession:
        session = super().open(task)
        self.open_sessions.add(id(session))
        self.opened += 1
        close = session.close

        def closed() -> None:
            self.open_sessions.discard(id(session))
            close()

        session.close = closed  # type: ignore[method-assign]
        return session

    def execute(self, steps: Sequence[Work]) -> list[Outcome]:
        self.visits.append(len(steps))
        return super().execute(steps)


def prepared(env: BfclEnvironment, tasks: Sequence[Task]) -> Runner:
    """With the ground truths replayed."""
    runner = Runner(env, RENDERER, LIMITS)
    traces = runner.traces.visit(tasks)
    assert all(isinstance(trace, GoldTrace) for trace in traces.values())
    return runner


def soon(made: Coroutine[Any, Any, Any]) -> Any:
    """The result, or a failure instead of a wait without end."""

    async def limited() -> Any:
        async with asyncio.timeout(PATIENCE):
            return await made

    return asyncio.run(limited())


class Late(Replay):
    """Its first episode gets no answer before all others are over."""

    def __init__(self, scripts: Sequence[Sequence[Ids]]) -> None:
        super().__init__(scripts)
        self.left = sum(map(len, scripts[1:]))
        self.free = asyncio.Event()

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        if sampling.episode == 0:
            await self.free.wait()
        made = await super().generate(ids, sampling)
        self.left -= sampling.episode != 0
        if not self.left:
            self.free.set()
        return made


def test_nobody_waits_for_the_round_of_another() -> None:
    tasks = carried()[:5]
    policy = Late([gold(task) for task in tasks])
    rollouts = soon(Runner(ENV, RENDERER, LIMITS).play(tasks, policy))
    assert rollouts == Runner(ENV, RENDERER, LIMITS).run(tasks, Replay(policy.scripts))
    assert [r.task_id for r in rollouts] == [t.id for t in tasks]
    assert all(r.complete for r in rollouts)


def test_the_environment_does_not_stop_the_event_loop() -> None:
    """Its first visit ends only when the loop has gone on."""
    went_on = Event()

    class Slow(Counted):
        def execute(self, steps: Sequence[Work]) -> list[Outcome]:
            assert went_on.wait(PATIENCE), "the event loop is blocked"
            return super().execute(steps)

    tasks = carried()[:2]
    went_on.set()
    runner = prepared(Slow(), tasks)
    went_on.clear()

    class Busy(Replay):
        async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
            if sampling.episode == 0:  # asked while the environment has the call of the other
                await asyncio.sleep(0.01)
                went_on.set()
            return await super().generate(ids, sampling)

    assert all(r.complete for r in soon(runner.play(tasks, Busy([gold(t) for t in tasks]))))


def test_what_waits_during_one_visit_makes_up_the_next() -> None:
    tasks = [carried()[0]] * 6
    asked, free = [0], Event()

    class Slow(Counted):
        def execute(self, steps: Sequence[Work]) -> list[Outcome]:
            if self.visits == []:
                assert free.wait(PATIENCE)
            return super().execute(steps)

    free.set()
    env = Slow()
    runner = prepared(env, tasks)
    env.visits.clear()
    free.clear()

    class Staggered(Replay):
        async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
            if sampling.episode and not self.shown[sampling.episode]:
                await asyncio.sleep(0.01)  # the first one has reached the environment before
                asked[0] += 1
                if asked[0] == 5:
                    asyncio.get_running_loop().call_later(0.05, free.set)
            return await super().generate(ids, sampling)

    first = [action for action in gold(tasks[0]) if len(action) > 1][:1]
    soon(runner.play(tasks, Staggered([[*first, RENDERER.write([])]] * 6)))
    assert env.visits[:2] == [1, 5]


class Noting(Counted):
    """Knows the threads in which it was used."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[Thread] = set()

    def open(self, task: Task) -> BfclSession:
        self.threads.add(current_thread())
        session = super().open(task)
        close = session.close

        def closed() -> None:
            self.threads.add(current_thread())
            close()

        session.close = closed  # type: ignore[method-assign]
        return session

    def execute(self, steps: Sequence[Work]) -> list[Outcome]:
        self.threads.add(current_thread())
        return super().execute(steps)


def test_all_sessions_of_a_runner_live_in_one_thread() -> None:
    """As a connection to a database must; and not in that of the event loop."""
    env, tasks = Noting(), [carried()[0]] * 5
    runner = Runner(env, RENDERER, LIMITS)
    for _ in range(2):
        assert all(r.complete for r in runner.run(tasks, Replay([gold(t) for t in tasks])))
    with pytest.raises(ConnectionError):
        runner.run(tasks, Failing([gold(task) for task in tasks]))
    assert not env.open_sessions
    (thread,) = env.threads
    assert thread is not current_thread()
    del runner
    gc.collect()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it outlives its runner"


def test_a_session_that_cannot_be_closed_hides_no_failure_and_no_other_session() -> None:
    class Stuck(Counted):
        def open(self, task: Task) -> BfclSession:
            session = super().open(task)
            close = session.close

            def closed() -> None:
                close()
                raise OSError("it does not close")

            session.close = closed  # type: ignore[method-assign]
            return session

    env, tasks = Counted(), [carried()[0]] * 5
    runner = prepared(env, tasks)
    runner.env = env = Stuck()
    with pytest.raises(ConnectionError, match="the server is gone") as caught:
        runner.run(tasks, Broken([gold(task) for task in tasks]))
    assert caught.value.__context__ is None
    assert not env.open_sessions


class Held(Counted):
    """One of its methods waits until `free` is set, which it is at first."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.began, self.free, held = Event(), Event(), getattr(self, method)
        self.free.set()

        def holding(*arguments: Any) -> Any:
            self.began.set()
            assert self.free.wait(PATIENCE), "the event loop is blocked"
            return held(*arguments)

        setattr(self, method, holding)

    def cancel_there(self, tasks: Sequence[Task]) -> None:
        """Play, cancel the run while the environment is in that method, and then free it."""
        runner = prepared(self, tasks)
        self.began.clear()
        self.free.clear()

        async def cancelled() -> None:
            playing = asyncio.create_task(runner.play(tasks, Replay([gold(t) for t in tasks])))
            await asyncio.to_thread(self.began.wait, PATIENCE)
            playing.cancel()
            asyncio.get_running_loop().call_later(0.05, self.free.set)
            with pytest.raises(asyncio.CancelledError):
                await playing

        soon(cancelled())
        assert self.free.is_set() and not self.open_sessions


def test_a_run_cancelled_while_it_opens_sessions_closes_them() -> None:
    env = Held("open")
    env.cancel_there([carried()[0]] * 3)
    assert env.opened == 4


class Failing(Replay):
    """Fails in the second action of one episode, while others wait."""

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        if sampling.episode == 2 and self.shown[2]:
            self.fail()
        if sampling.episode > 2:
            await asyncio.Event().wait()
        return await super().generate(ids, sampling)

    def fail(self) -> None:
        raise ConnectionError("the server is gone")


class Broken(Failing):
    """Fails before any call."""

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        if sampling.episode == 2:
            self.fail()
        return await asyncio.Future()


class Interrupted(Failing):
    def fail(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_a_failure_of_the_policy_is_raised_once_and_closes_all_sessions() -> None:
    env, tasks = Counted(), [carried()[0]] * 5
    runner = prepared(env, tasks)
    with pytest.raises(ConnectionError, match="the server is gone") as caught:
        runner.run(tasks, Failing([gold(task) for task in tasks]))
    assert caught.value.__context__ is None, "a person reads of something else as well"
    assert not env.open_sessions
    assert all(r.complete for r in runner.run(tasks, Replay([gold(t) for t in tasks])))


def test_a_failure_of_the_environment_as_a_whole_is_raised() -> None:
    class Gone(Counted):
        def execute(self, steps: Sequence[Work]) -> list[Outcome]:
            if self.visits[-1:] == [3]:
                raise NoProcessError("no worker")
            return super().execute(steps)

    env, tasks = Gone(), [carried()[0]] * 3
    runner = prepared(env, tasks)
    with pytest.raises(NoProcessError, match="no worker"):
        runner.run(tasks, Replay([gold(task) for task in tasks]))
    assert not env.open_sessions


def test_an_environment_that_loses_an_outcome_ends_the_run() -> None:
    class Losing(Counted):
        def execute(self, steps: Sequence[Work]) -> list[Outcome]:
            return super().execute(steps)[: 1 if self.opened == 4 else None]

    env, tasks = Losing(), [carried()[0]] * 3
    runner = prepared(env, tasks)
    with pytest.raises(ValueError, match="gave 1 outcomes for 3 steps"):
        runner.run(tasks, Replay([gold(task) for task in tasks]))
    assert not env.open_sessions


@contextmanager
def plain() -> Iterator[None]:
    """Python's own handler of signals; a process in the background is started without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("handler", [plain, Stopper])
def test_an_interruption_closes_all_sessions(handler: Callable[[], Any]) -> None:
    env, tasks = Counted(), [carried()[0]] * 5
    runner = prepared(env, tasks)
    with handler(), pytest.raises(KeyboardInterrupt):
        runner.run(tasks, Interrupted([gold(task) for task in tasks]))
    assert not env.open_sessions


def test_an_event_loop_may_be_running_already() -> None:
    env, tasks = Counted(), [carried()[0]] * 5
    runner = prepared(env, tasks)

    async def within() -> None:
        assert all(r.complete for r in runner.run(tasks, Replay([gold(t) for t in tasks])))
        with pytest.raises(ConnectionError):
            runner.run(tasks, Failing([gold(task) for task in tasks]))

    soon(within())
    assert not env.open_sessions


def test_a_cancelled_run_closes_its_sessions() -> None:
    env, tasks = Counted(), [carried()[0]] * 5
    runner = prepared(env, tasks)
    policy = Late([gold(task) for task in tasks])
    policy.left += 1  # so that the first one waits

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await runner.play(tasks, policy)

    soon(cancelled())
    assert not env.open_sessions


@pytest.mark.parametrize("workers", [1, 2])
def test_an_early_end_interrupts_the_calls_of_the_guard(tools: Fragile, workers: int) -> None:
    """All calls hang; none begins after the end."""
    tools.env.close()
    tools.env = GuardedEnvironment(tools.env.inner, CallLimits(seconds=2, workers=workers))
    tasks = [tools.task("one")] * 4
    runner = Runner(tools.env, tools.renderer)
    runner.traces.visit(tasks)
    before = tools.called()
    tools.mark("stall-every")
    policy = Replay([tools.right()] * 4)

    async def cancelled() -> None:
        playing = asyncio.create_task(runner.play(tasks, policy))
        while tools.called() < before + workers:
            await asyncio.sleep(0.01)
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing

    soon(cancelled())
    assert tools.called() == before + workers
    tools.unmark("stall-every")
    assert all(r.complete for r in runner.run(tasks, Replay([tools.right()] * 4)))


def test_a_cancelled_run_leaves_the_event_loop_free() -> None:
    """Even if a call in this process continues: its session is closed after it."""
    Held("execute").cancel_there([carried()[0]] * 2)


def test_the_history_is_handed_over_and_not_copied() -> None:
    seen: dict[int, list[Any]] = {}

    class Holding(Replay):
        async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
            seen.setdefault(sampling.episode, []).append(ids)
            return await super().generate(ids, sampling)

    tasks = carried()[:3]
    policy = Holding([gold(task) for task in tasks])
    rollouts = Runner(ENV, RENDERER, LIMITS).run(tasks, policy)
    for number, rollout in enumerate(rollouts):
        assert len({id(ids) for ids in seen[number]}) == 1
        whole = rollout.prompt_ids + rollout.completion_ids
        shown = policy.shown[number]
        assert len(shown) > 2 and all(whole[: len(ids)] == ids for ids in shown)


def test_a_policy_is_asked_for_no_more_than_the_budget() -> None:
    task, asked = carried()[0], []

    class Asked(Replay):
        async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
            asked.append((len(ids), sampling))
            return await super().generate(ids, sampling)

    sampling = Sampling(max_tokens=40, temperature=0.5)
    runner = Runner(ENV, RENDERER, LIMITS, token_budget=100, sampling=sampling)
    (rollout,) = runner.run([task], Asked([gold(task)]))
    assert rollout.ending is Ending.TOKEN_BUDGET
    assert [s.max_tokens for _, s in asked] == [min(40, 100 - length) for length, _ in asked]
    assert {s._replace(max_tokens=0) for _, s in asked} == {
        Sampling(0, 0.5, RENDERER.stop_ids, episode=0)
    }


def test_a_prompt_beyond_the_budget_is_lost_without_a_question() -> None:
    task = carried()[0]
    policy = Replay([gold(task)])
    (rollout,) = Runner(ENV, RENDERER, token_budget=5).run([task], policy)
    assert (rollout.ending, rollout.progress, rollout.format) == (Ending.TOKEN_BUDGET, 0.0, 0.0)
    assert len(rollout.completion_ids) == 1 and rollout.mask == [0]
    assert policy.shown == [[]]


def test_a_policy_must_tell_what_it_thought() -> None:
    class Silent(Replay):
        async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
            return (await super().generate(ids, sampling))._replace(logprobs=[])

    task = carried()[0]
    with pytest.raises(ValueError, match="0 log-probabilities for"):
        Runner(ENV, RENDERER).run([task], Silent([gold(task)]))
