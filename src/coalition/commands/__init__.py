"""The rooms behind the command line: one module a group of commands, each thin."""
