"""Work on a GPU: exactness, rates, kernels, peers, and training steps, in one command.

::

    python -m benchmarks.gpu [--quick] [--images N] [--demo FOLDER] [--markdown FILE]

It takes less than four minutes from a bare start, and prints each line as soon as it is measured.
What matters most comes first, so that a run that is cut off still shows it. Without a GPU it says
so, and shows what a CPU can: that the kernels' twins are exact, and how long planning takes.
"""
