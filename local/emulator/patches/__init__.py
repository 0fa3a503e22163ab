"""Changes to the emulator, one file a behaviour."""
