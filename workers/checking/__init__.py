"""A task file is checked on this machine, without a server (`gapcast tasks check`)."""
