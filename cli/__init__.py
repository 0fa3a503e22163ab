"""What the command lines (`producer`, `local`, `ops`) share: the stage's environment, exit codes, output.

Added to the design's layout because three packages need it and none of it should ship to Lambda.
"""
