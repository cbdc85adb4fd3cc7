"""What every request passes, whatever answers it: who asks, whether it may, how it is refused."""
