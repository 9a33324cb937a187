"""At which probabilities a prediction keeps its quantiles, so that its outcome can be judged later."""

PROBABILITIES = (0.005, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975, 0.995)
