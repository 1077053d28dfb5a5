"""What launch.py runs: each command reads its flags, calls one service, prints what came of it."""
