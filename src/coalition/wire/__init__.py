"""What a movement looks like in JSON and CSV, read once for HTTP, the till's lane and files."""
