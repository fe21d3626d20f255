"""What may be asked, of whom, at which price: configuration and prompt files, reloaded when they change."""
