"""Rewards: how many are gone, vouchers and their codes."""
