"""Runs the benchmarks of the GPU."""

from benchmarks.gpu.run import main

if __name__ == "__main__":
    main()
