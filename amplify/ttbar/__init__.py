"""Everything about top pairs: kinematics, partons and jets from Pythia 8, event files."""
