"""What all benchmarks share: child processes, a stub endpoint, data, measurement, reports and bars."""
