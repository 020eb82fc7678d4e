"""Every method, small; a new method joins the tests of all methods by one line."""

from ocjax.methods import ganomaly

# name -> (builder, tiny Config)
METHODS = {
    "ganomaly": (ganomaly.ganomaly, ganomaly.Config(latent=3, features=2)),
    "ganomaly, released in May 2018": (
        ganomaly.ganomaly,
        ganomaly.Config(latent=3, features=2, adversarial="non_saturating", score="l1"),
    ),
}
