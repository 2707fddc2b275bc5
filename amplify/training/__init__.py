"""From a generator to trained members: one compiled scan, all devices."""
