"""Extract: bytes archived under their sha256, decoded, typed by contract into a batch."""
