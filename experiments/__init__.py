"""One table, figure or study a file: frozen configuration, run, rows."""
