"""Presets and overrides: what is wrong is refused with the name of the key."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rods.config import Config
from rods.errors import UserError
from rods.presets import load_config, preset_names


@pytest.mark.parametrize("name", preset_names())
def test_presets_load(name: str) -> None:
    config = load_config(name, seed=7, arm="static")
    assert (config.preset, config.seed, config.arm) == (name, 7, "static")
    assert Config.model_validate(config.model_dump(mode="json")) == config
    rows = config.rollout.group_size * config.rollout.tasks_per_step
    assert rows % config.optimizer.microbatch == 0


def test_shipped_presets() -> None:
    assert set(preset_names()) >= {"micro", "tiny"}


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("pool.beta=0.25", lambda c: c.pool.beta == 0.25),
        ("optimizer.learning_rate=3e-4", lambda c: c.optimizer.learning_rate == 0.0003),
        ("pool.stale_epochs=3", lambda c: c.pool.stale_epochs == 3),
        ("pool.stale_epochs=null", lambda c: c.pool.stale_epochs is None),
        ("pool.beta=1e-1", lambda c: c.pool.beta == 0.1),
        ("environment.limits.workers=010", lambda c: c.environment.limits.workers == 10),
        ("synthesis.endpoint=on", lambda c: c.synthesis.endpoint == "on"),
        ("evaluation.test_samples=5", lambda c: c.evaluation.test_samples == 5),
        ("stages=[{reward: binary, categories: [base]}]", lambda c: c.stages[0].reward == "binary"),
    ],
)
def test_overrides_change_one_setting(override: str, read) -> None:
    assert not read(load_config("micro")) or "null" in override
    assert read(load_config("micro", [override]))


def test_the_last_override_wins() -> None:
    assert load_config("tiny", ["steps=3", "steps=5"]).steps == 5


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("steps", "steps"),
        ("=3", "--set =3"),
        ("step=3", "step: "),
        ("pool.size=3", "pool.size"),
        ("pool.beta.x=3", "beta"),
        ("stages.0.reward=binary", "stages"),
        ("rollout=3", "rollout"),
        ("pool.beta=2", "pool.beta"),
        ("pool.beta=.nan", "pool.beta"),
        ("pool.beta=much", "pool.beta"),
        ("pool.seeds=null", "pool.seeds"),
        ("steps=[1", "steps"),
        ("steps=0", "steps"),
        ("steps=1.5", "steps"),
        ("steps=true", "steps"),
        ("pool.beta=true", "pool.beta"),
        ("pool.stale_epochs=true", "pool.stale_epochs"),
        ("environment.bounds.depth=true", "environment.bounds.depth"),
        ("environment.limits.seconds=true", "environment.limits.seconds"),
        ("steps=2020-13-45", "steps"),
        ("steps=0b_", "steps"),
        ("steps=12:30", "steps"),
        ("steps=0b1", "steps"),
        ("steps=[1, 1]", "steps"),
        (
            "pool={beta: 0.1, beta: 0.2}",
            "--set pool={beta: 0.1, beta: 0.2}: the key 'beta' appears",
        ),
        ("steps=!!python/name:os.system", "the tag !!python/name:os.system"),
        ("steps=" + "9" * 5_000, "an integer of too many digits"),
        ("arm=best", "arm"),
        ("stages=[]", "stages"),
        ("stages=[{reward: fame}]", "stages.0.reward"),
        ("stages=[{categories: [overall]}]", "stages.0.categories"),
        (r'stages=[{categories: ["a\u0007"]}]', "stages.0.categories"),
        ("stages=[{}, {}]", "epochs"),
        ("boundary.low=0.9", "boundary.low"),
        ("boundary.rule=median", "boundary.rule"),
        ("optimizer.microbatch=7", "optimizer.microbatch"),
        ("optimizer.learning_rate=.inf", "optimizer.learning_rate"),
        ("rollout.temperature=.inf", "rollout.temperature"),
        ("policy.heads=0", "policy.heads"),
        ("policy.layers=0", "policy.layers"),
        ("policy.width=-4", "policy.width"),
        ("policy.width=49", "policy.width"),
    ],
)
def test_a_bad_override_is_named(override: str, named: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config("tiny", [override])
    assert named in str(caught.value)


@pytest.mark.parametrize("override", ["seed=5", "arm=static", "preset=micro"])
def test_an_override_is_never_silently_dropped(override: str) -> None:
    """The command line gives these as options; `--set` must not be ignored beside them."""
    with pytest.raises(UserError, match=override.partition("=")[0]):
        load_config("tiny", [override], seed=0, arm="rods")


keys = st.sampled_from(["steps", "pool.beta", "boundary.rule", "stages", "policy", "pool.beta.x"])


@settings(max_examples=50)
@given(keys | st.text(max_size=12), st.text("0123456789.-_:abex[]{}'\"!&*\t ", max_size=8))
def test_any_override_is_used_or_refused(key: str, value: str) -> None:
    try:
        load_config("tiny", [f"{key}={value}"])
    except UserError:
        return
    assert key.partition(".")[0] in Config.model_fields


def test_no_such_preset() -> None:
    with pytest.raises(UserError, match=r"no preset 'huge'; there are: .*micro"):
        load_config("huge")
