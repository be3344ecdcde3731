"""The benchmarks run and write what they promise; how fast anything is, is not tested."""
