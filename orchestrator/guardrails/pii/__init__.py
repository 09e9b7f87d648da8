"""Personal data in texts: recognisers with checksums, and the check that finds and hides what they find."""
