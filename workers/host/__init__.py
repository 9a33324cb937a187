"""The side of a worker that has a database: it claims jobs, runs each in a child and stores what comes of it."""
