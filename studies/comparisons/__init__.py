"""How well comparisons decide: in simulation, and on probes of lab models."""
