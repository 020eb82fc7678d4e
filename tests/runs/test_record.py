import dataclasses

import jax
import pytest

from ocjax import runs, training
from ocjax.training import loop


def test_the_last_good_checkpoint_stays_when_a_loss_is_not_finite(
    tmp_path, monkeypatch
):
    def diverges(*arguments, sweep=training.sweep, **options):
        for number, progress in sweep(*arguments, **options):
            if progress.step > 3:
                error = training.NonFiniteError("Not finite: generator at step 4.")
                progress = dataclasses.replace(progress, error=error, done=True)
            yield number, progress
            if progress.done:
                return

    monkeypatch.setattr(training, "sweep", diverges)
    config = runs.configure(
        method="ganomaly",
        epochs=3,
        batch_size=32,
        checkpoint_epochs=1,
        hyper={"latent": 3, "features": 2},
    )
    with pytest.raises(training.NonFiniteError):
        runs.run(runs.load(config.to_dict(), seed=0), tmp_path / "run")
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["3"]
    assert not (tmp_path / "run" / "eval").exists()


def test_parameters_that_are_not_finite_end_their_run_alone(tmp_path, monkeypatch):
    def diverges(*arguments, run_steps=loop.run_steps, **options):
        state, metrics, finite = run_steps(*arguments, **options)
        key = arguments[4][0]  # Other in each run.
        first = jax.random.split(jax.random.key(1), 3)[2]
        return state, metrics, finite & (key != jax.random.key_data(first)).any()

    monkeypatch.setattr(loop, "run_steps", diverges)
    config = runs.configure(
        method="autoencoder",
        seeds=2,
        epochs=2,
        batch_size=32,
        checkpoint_epochs=1,
        log_every=1,
        hyper={"latent": 3, "features": 2},
        report=False,
    )
    result = runs.launch(config.to_dict(), workdir=tmp_path / "table")
    assert isinstance(result, runs.TableSummary)
    assert (result.seeds, result.diverged) == (2, 1)
    lost = tmp_path / "table" / "8-seed1"
    assert not (lost / "eval").exists()
    assert not list((lost / "checkpoints").iterdir())
    assert (lost / "metrics.jsonl").read_text() == ""
