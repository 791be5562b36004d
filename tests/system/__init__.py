"""The real process against the four simulated systems over HTTP, judged from outside."""
