"""`make bench`: every benchmark against its peer, one table."""

from bench import (
    api,
    compare,
    first_light,
    fits,
    forecasts,
    law,
    load,
    observations,
    pages,
    probe,
    refit,
    train,
    train_loss,
    watchers,
)

if __name__ == "__main__":
    api.main()
    compare.main()
    first_light.main()
    fits.main()
    forecasts.main()
    law.main()
    load.main()
    observations.main()
    pages.main()
    probe.main()
    refit.main()
    train.main()
    train_loss.main()
    watchers.main()
