"""Coverage-guided fuzzing of everything in C that reads what strangers wrote: ``make fuzz`` (libFuzzer, clang)."""
