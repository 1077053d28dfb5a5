"""A picture and a box or points in, a mask out: GrabCut, SAM and SAM 2 behind one protocol. Knows no detector."""
