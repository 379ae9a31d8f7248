"""`python -m coursekit.cli`: the same as `coursekit`, for an interpreter that is not on the path."""

from coursekit.cli import main

main()
