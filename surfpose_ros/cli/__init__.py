"""The surfpose command: one file a subcommand; no logic that a test of the core could want."""
