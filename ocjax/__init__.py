"""One-class image anomaly detection in JAX."""
