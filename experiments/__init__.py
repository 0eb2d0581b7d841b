"""Studies: a frozen configuration, ``run(config) -> rows``, and what is written of them. One a file."""
