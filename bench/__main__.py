"""`make bench`: every benchmark against its peer, one table."""

from bench import api, compare, crowd, first_light, forecasts, law, observations, probe, train, train_loss

if __name__ == "__main__":
    api.main()
    compare.main()
    crowd.main()
    first_light.main()
    forecasts.main()
    law.main()
    observations.main()
    probe.main()
    train.main()
    train_loss.main()
