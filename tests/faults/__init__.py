"""What goes wrong around the program, done on purpose: `make faults` runs all and prints a table.

Each fault is done to a real server or application on a real database while tills go on asking. What
they were answered is compared with the ledger: nothing lost, nothing doubled, every rule holds.
"""
