"""Detectors that read each phrase by itself: OWLv2, OmDet-Turbo, SAM 3. They find things and cannot be taught."""
