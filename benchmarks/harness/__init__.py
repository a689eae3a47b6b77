"""What every benchmark uses: results, the machine, servers to measure, clients that measure."""
