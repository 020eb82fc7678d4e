import dataclasses
import json

import pytest

from ocjax import launch, training
from ocjax.training.checkpoint import Checkpoints


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
    config = launch.configure(
        epochs=3,
        batch_size=32,
        checkpoint_epochs=1,
        hyper={"latent": 3, "features": 2},
    )
    with pytest.raises(training.NonFiniteError):
        launch.run(launch.load(config.to_dict(), seed=0), tmp_path / "run")
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["3"]
    assert not (tmp_path / "run" / "eval").exists()


def test_parameters_that_are_not_finite_end_their_run_alone(tmp_path, monkeypatch):
    def save(self, state, save=Checkpoints.save):
        if "seed1" in str(self._folder):
            raise FloatingPointError("Not finite: parameter kernel.")
        save(self, state)

    monkeypatch.setattr(Checkpoints, "save", save)
    config = launch.configure(
        method="autoencoder",
        seeds=2,
        epochs=2,
        batch_size=32,
        checkpoint_epochs=1,
        log_every=1,
        hyper={"latent": 3, "features": 2},
        report=False,
    )
    found = launch.launch(config.to_dict(), workdir=tmp_path / "table")
    assert (found["seeds"], found["diverged"]) == (2, 1)
    lost = tmp_path / "table" / "8-seed1"
    assert not (lost / "eval").exists()
    lines = (lost / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert max(row["epoch"] for row in rows) == 1  # It did not go on.
