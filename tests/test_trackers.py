"""What a run gives to trackers, through TRL."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_runs import Train, lines, logged

OURS = (
    *("signal", "zones/boundary", "stage_number"),
    *("pool/active", "injected", "retired", "endings/answered", "progress"),
    *("funnel/tried", "validation/progress"),
)
EXPAND = (
    *("stages=[{reward: progress}]", "boundary={rule: mean, low: 0.01, high: 0.99, cooldown: 0}"),
    *("pool={p_max: 4, beta: 0.5, burn_in: 0.0, hard: 0.0}", "synthesis.mode=inline", "steps=6"),
)


@pytest.mark.slow
def test_trackers_get_the_metrics_of_the_run(train: Train, shop: Path) -> None:
    done = train("run", *EXPAND)
    assert done.code == 0, done.err
    history = logged(shop / "run", 6)
    assert [state["step"] for state in history] == [*range(1, 7)]
    for state, line in zip(history, lines(shop / "run"), strict=True):
        assert state["rods/signal"] == line["signal"]
        assert state["rods/pool/active"] == line["pool"]["active"]
        assert state["rods/injected"] == line["injected"]
        for cause, groups in line["signals"].items():
            assert state[f"rods/signals/{cause.replace(' ', '_')}"] == groups
        assert "completions/mean_length" in state, "and those of TRL"
    found = {name for state in history for name in state}
    assert {f"rods/{name}" for name in OURS} <= found


def test_tensorboard_files_are_in_the_runs_folder(
    train: Train, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_this_test")
    done = train("run", "report_to=[tensorboard]", "run_name=first try")
    assert done.code == 0, done.err
    (file,) = (shop / "run").rglob("events*")
    found = EventAccumulator(str(file))
    found.Reload()
    events = found.Scalars("train/rods/signal")
    assert [event.step for event in events] == [1, 2]
    assert [e.value for e in events] == [line["signal"] for line in lines(shop / "run")]
    everything = [path for path in (shop / "run").rglob("*") if path.is_file()]
    assert not any(b"hf_secret_of_this_test" in path.read_bytes() for path in everything)
