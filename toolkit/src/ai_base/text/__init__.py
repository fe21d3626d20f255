"""Text that comes from models and from users: parse it, scrub it, make it safe to show."""
